import {encodePlan} from '../binding/index.js';
import type {StoredImage} from '../store/index.js';
import type {ContainerConfig} from './container-config.js';
import {type LiveRecord, transientSteps} from './container-files.js';
import {fillTemplate, hasTemplate, kindOfStart} from './plan-template.js';
import {type PreparedStart, prepareStart} from './prepare-start.js';
import type {Runtime} from './runtime.js';

/** A plan, and how the launcher reads it. */
export type PlannedStart = PreparedStart & {
  readonly encoded: Uint8Array;
  /** What the plan writes down. */
  readonly record: LiveRecord;
};

/** The plan of a container that lives as long as its run: from the template of the last start of its kind, or compiled. */
export function planTransientStart(
  runtime: Runtime,
  config: ContainerConfig,
  image: StoredImage,
  hold: boolean,
): PlannedStart {
  const record: LiveRecord = {...config, owner: runtime.owner()};
  const places = runtime.livePlacesOf(record);
  const extraEnv = runtime.extraEnv(config);
  const prepare = () =>
    prepareStart(runtime.facts, {
      config,
      image,
      baseLayer: runtime.baseLayer,
      places,
      transient: true,
      hold,
      volumePath: name => runtime.volumePath(name),
      bookkeeping: transientSteps(record, places, runtime.anonymousVolumes(config)),
      extraEnv,
    });
  if (extraEnv.length > 0 || !hasTemplate(config)) {
    const prepared = prepare();
    return {...prepared, record, encoded: encodePlan(prepared.plan)};
  }
  const identity = {places, record: JSON.stringify(record)};
  const kind = kindOfStart(record, hold, runtime.facts);
  const template = runtime.templates.find(kind);
  if (template === undefined) {
    const prepared = prepare();
    const encoded = runtime.templates.add(kind, prepared.plan, identity, prepared.warnings);
    return {...prepared, record, encoded};
  }
  runtime.facts.cgroups.refuseFrozen(config.cgroupParent);
  return {
    record,
    encoded: fillTemplate(template, identity),
    warnings: template.warnings,
    get plan() {
      return prepare().plan;
    },
  };
}
