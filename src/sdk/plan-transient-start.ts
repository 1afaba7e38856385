import {encodePlan, type Plan, type ProcessIdentity} from '../binding/index.js';
import type {StoredImage} from '../store/index.js';
import type {PlanInput} from './compile-plan.js';
import {
  type Connection,
  disconnectSteps,
  endpointRecordSteps,
  joinedFiles,
  releaseSteps,
} from './connect-network.js';
import type {ContainerConfig} from './container-config.js';
import {
  type Bookkeeping,
  type LiveRecord,
  recordText,
  transientSteps,
  waitingRecord,
  waitingSteps,
} from './container-files.js';
import {kindOfPlace, networkPlace} from './network-place.js';
import {fillTemplate, hasTemplate, kindOfBase, kindOfStart} from './plan-template.js';
import {type PreparedStart, prepareStart, type StartPart} from './prepare-start.js';
import type {Runtime} from './runtime.js';

/** A plan, and how the launcher reads it. */
export type PlannedStart = Omit<PreparedStart, 'cgroups'> & {
  readonly encoded: Uint8Array;
  /** What is written down of it, and as JSON. */
  readonly record: LiveRecord;
  readonly text: string;
  /** Of its subject. */
  readonly shared: string;
};

/** A container and its image. */
export interface StartSubject {
  readonly config: ContainerConfig;
  readonly stored: StoredImage;
  /** `sharedText` of its configuration. */
  readonly shared: string;
  /** `surroundingsText` of it. */
  readonly surroundings: string;
  /** Its writable layer stays when it ends. @default false */
  readonly keepsWritable?: boolean;
}

/** The plan of a container that lives as long as its run. */
export function planTransientStart(
  runtime: Runtime,
  subject: StartSubject,
  waits: 'never' | 'before exec',
  endpoint?: Connection,
): PlannedStart {
  const {config, shared} = subject;
  const record = {...config, owner: runtime.owner()};
  const kept = subject.keepsWritable ? ' kept' : '';
  const kind = `${waits}${kept} ${kindOfStart(record, shared, runtime.facts)}`;
  return plan(runtime, subject, record, {part: 'whole', waits, kind, endpoint});
}

/** All that comes before the program: see `compileInParts`. Its record says no more than what removing it takes. */
export function planBase(
  runtime: Runtime,
  subject: StartSubject,
  endpoint: Connection | undefined,
): PlannedStart {
  const record = {...subject.config, owner: runtime.owner()};
  const kind = `base ${kindOfBase(subject.surroundings, record.owner, runtime.facts)}`;
  return plan(runtime, subject, record, {part: 'base', waits: 'before the program', kind, endpoint});
}

/** The program, for surroundings that wait. */
export function planRest(runtime: Runtime, subject: StartSubject, owner: ProcessIdentity): PlannedStart {
  const {config, shared} = subject;
  const record = {...config, owner};
  const kind = `rest ${kindOfStart(record, shared, runtime.facts)}`;
  return plan(runtime, subject, record, {part: 'rest', waits: 'before the program', kind});
}

interface Wanted {
  readonly part: StartPart;
  readonly waits: PlanInput['waits'];
  /** Equal for plans that differ in id, name and record only. */
  readonly kind: string;
  readonly endpoint?: Connection | undefined;
}

/** From the template of the last start of its kind, or compiled. */
function plan(
  runtime: Runtime,
  {stored, shared, keepsWritable}: StartSubject,
  record: LiveRecord,
  {part, waits, kind, endpoint}: Wanted,
): PlannedStart {
  const places = runtime.livePlacesOf(record);
  const extraEnv = runtime.extraEnv(record);
  const text = part === 'base' ? JSON.stringify(waitingRecord(record)) : recordText(record, shared);
  const bookkeeping = (): Bookkeeping => {
    if (part === 'rest') return {host: [], started: [], teardown: []};
    const steps =
      part === 'base'
        ? waitingSteps(places, text)
        : transientSteps(places, text, runtime.anonymousVolumes(record), keepsWritable);
    return {
      ...steps,
      host: [...steps.host, ...endpointRecordSteps(places.directory, endpoint)],
      teardown: [
        ...disconnectSteps(places.directory, endpoint),
        ...releaseSteps(runtime, endpoint),
        ...steps.teardown,
      ],
    };
  };
  const prepare = () =>
    prepareStart(
      runtime.facts,
      {
        config: record,
        image: stored,
        baseLayer: runtime.baseLayer,
        places,
        transient: true,
        waits,
        volume: name => runtime.volume(name),
        bookkeeping: bookkeeping(),
        extraEnv,
        endpoint,
        networksDirectory: runtime.networks.liveDirectory,
        joined: joinedFiles(runtime, record),
      },
      part,
    );
  // A volume that is to be mounted is mounted for a user of this id.
  const place = endpoint && networkPlace(record, runtime.facts, endpoint);
  const isPlain = (endpoint === undefined || place !== undefined) && !runtime.mountsVolumes(record);
  if (extraEnv.length > 0 || !isPlain || !hasTemplate(record)) {
    const prepared = prepare();
    return {...prepared, record, text, shared, encoded: encodePlan(prepared.plan)};
  }
  const identity = {places, record: text, place};
  const whole = endpoint === undefined ? kind : `${kind}\n${kindOfPlace(endpoint)}`;
  const template = runtime.templates.find(whole);
  if (template === undefined) {
    const prepared = prepare();
    const encoded = runtime.templates.add(whole, prepared.plan, identity, prepared.warnings);
    return {...prepared, record, text, shared, encoded};
  }
  runtime.facts.cgroups.refuseFrozen(record.cgroupParent);
  return {
    record,
    text,
    shared,
    encoded: fillTemplate(template, identity),
    warnings: template.warnings,
    get plan(): Plan {
      return prepare().plan;
    },
  };
}
