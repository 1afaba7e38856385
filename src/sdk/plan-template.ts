/**
 * Starts of the same kind differ in little: the container's id, its name and its record. So a compiled and encoded plan
 * is kept, and the next start of its kind is a copy in which these are replaced. That takes a tenth of the time of
 * compiling and encoding, all of it on the main thread of the program that hosts us, and leaves less garbage.
 */
import {
  encodePlan,
  PHASES,
  type Phase,
  type Plan,
  type ProcessIdentity,
  STEP_LAYOUT,
  type Step,
} from '../binding/index.js';
import type {ContainerConfig} from './container-config.js';
import type {LivePlaces, LiveRecord} from './container-files.js';
import type {HostFacts} from './host-facts.js';
import {donorId} from './shared-namespaces.js';

/** What is different in each start of a kind. */
export interface StartIdentity {
  readonly places: LivePlaces;
  /** The text of `config.json`, or of `waiting.json`. */
  readonly record: string;
  /** Of one on the default bridge. */
  readonly place?: NetworkPlace | undefined;
}

/** What its place on the bridge says in a plan. */
export interface NetworkPlace {
  /** As messages to the kernel have it: the container's address; part of its MAC address as well. */
  readonly address: Uint8Array;
  /** Index of the near end of its veth. */
  readonly linkIndex: Uint8Array;
  /** How often the address and the index occur in such messages. */
  readonly addresses: number;
  readonly linkIndexes: number;
  /** Whole texts of steps. */
  readonly texts: readonly string[];
}

export interface PlanTemplate {
  readonly encoded: Buffer;
  /** Where the id stands, and where its first twelve digits stand alone: the default host name. */
  readonly ids: readonly number[];
  readonly shortIds: readonly number[];
  /** The steps whose text has another length each time. */
  readonly nameSteps: readonly number[];
  readonly otherNameSteps: readonly number[];
  /** -1: the plan writes none. */
  readonly recordStep: number;
  /** Of one on a bridge: where its address and its link's index stand, and steps with one of its texts. */
  readonly place?: {
    readonly addresses: readonly number[];
    readonly linkIndexes: readonly number[];
    readonly texts: readonly {readonly step: number; readonly field: number; readonly text: number}[];
  };
}

const SHORT_ID = 12; // digits, as Docker's

/** Finds the places to replace in a plan that was made for this identity. Undefined: they are not certain. */
export function makeTemplate(
  plan: Plan,
  encoded: Buffer,
  {places, place}: StartIdentity,
): PlanTemplate | undefined {
  const steps = PHASES.flatMap((phase: Phase): readonly Step[] => plan[phase]);
  const {id} = places;
  const ids = placesOf(encoded, id);
  const within = new Set(ids);
  const onBridge = place && placeIn(steps, encoded, place);
  if (place !== undefined && onBridge === undefined) return undefined;
  return {
    encoded,
    ...(onBridge && {place: onBridge}),
    ids,
    shortIds: placesOf(encoded, id.slice(0, SHORT_ID)).filter(at => !within.has(at)),
    nameSteps: indexesOf(steps, step => step.s1 === places.name),
    otherNameSteps: indexesOf(steps, step => step.s1 === places.otherName),
    recordStep: steps.findIndex(
      ({op, s1}) =>
        op === 'create' &&
        (s1 === `${places.directory}/config.json` || s1 === `${places.directory}/waiting.json`),
    ),
  };
}

/** Numbers could stand anywhere by chance: only messages are looked at, and they must have as many as was said. */
function placeIn(steps: readonly Step[], encoded: Buffer, place: NetworkPlace): PlanTemplate['place'] {
  const strings = encoded.readUInt32LE(STEP_LAYOUT.stringsOffset);
  const messages = steps.flatMap(({op}, index) => {
    if (op !== 'netlink' && op !== 'forward') return [];
    const at = STEP_LAYOUT.firstStep + index * STEP_LAYOUT.bytes + STEP_LAYOUT.s1;
    const begin = strings + encoded.readUInt32LE(at);
    return [{begin, bytes: encoded.subarray(begin, begin + encoded.readUInt32LE(at + 4))}];
  });
  const find = (number: Uint8Array) =>
    messages.flatMap(({begin, bytes}) => placesOf(bytes, number).map(at => begin + at));
  const [addresses, linkIndexes] = [find(place.address), find(place.linkIndex)];
  if (addresses.length !== place.addresses || linkIndexes.length !== place.linkIndexes) return undefined;
  const texts = place.texts.flatMap((text, number) => [
    ...indexesOf(steps, ({s1}) => s1 === text).map(step => ({step, field: STEP_LAYOUT.s1, text: number})),
    ...indexesOf(steps, ({s2}) => s2 === text).map(step => ({step, field: STEP_LAYOUT.s2, text: number})),
  ]);
  return {addresses, linkIndexes, texts};
}

/** The encoded plan of another start of the kind. */
export function fillTemplate(template: PlanTemplate, {places, record, place}: StartIdentity): Buffer {
  const {encoded, ids, shortIds, nameSteps, otherNameSteps, recordStep} = template;
  const {id, name, otherName} = places;
  const texts = place?.texts ?? [];
  const added = Buffer.from(`${[name, otherName, record, ...texts].join('\0')}\0`);
  const filled = Buffer.allocUnsafe(encoded.length + added.length);
  encoded.copy(filled);
  added.copy(filled, encoded.length);
  for (const at of ids) filled.write(id, at, 'latin1');
  for (const at of shortIds) filled.write(id, at, SHORT_ID, 'latin1');
  const nameLength = Buffer.byteLength(name);
  const otherLength = Buffer.byteLength(otherName);
  const nameAt = encoded.length - filled.readUInt32LE(STEP_LAYOUT.stringsOffset);
  const otherAt = nameAt + nameLength + 1;
  const recordAt = otherAt + otherLength + 1;
  const recordLength = Buffer.byteLength(record);
  for (const index of nameSteps) setText(filled, index, STEP_LAYOUT.s1, nameAt, nameLength);
  for (const index of otherNameSteps) setText(filled, index, STEP_LAYOUT.s1, otherAt, otherLength);
  if (recordStep !== -1) setText(filled, recordStep, STEP_LAYOUT.s2, recordAt, recordLength);
  if (template.place !== undefined && place !== undefined) {
    for (const at of template.place.addresses) filled.set(place.address, at);
    for (const at of template.place.linkIndexes) filled.set(place.linkIndex, at);
    let textAt = recordAt + recordLength + 1;
    for (const [number, text] of texts.entries()) {
      const length = Buffer.byteLength(text);
      for (const each of template.place.texts)
        if (each.text === number) setText(filled, each.step, each.field, textAt, length);
      textAt += length + 1;
    }
  }
  filled.writeUInt32LE(filled.length, STEP_LAYOUT.sizeOffset);
  return filled;
}

/** Whether the next start of the kind needs nothing new from the host: devices are looked at each time. */
export function hasTemplate({
  devices,
  privileged,
  network,
}: Pick<ContainerConfig, 'devices' | 'privileged' | 'network'>): boolean {
  return donorId(network) === undefined && devices.length === 0 && !privileged;
}

/** Namespaces and groups as Docker has them by default: what waits ahead of time has these. */
export function isolatesAll({
  pid,
  ipc,
  uts,
  network,
}: Pick<ContainerConfig, 'pid' | 'ipc' | 'uts' | 'network'>): boolean {
  return (
    donorId(network) === undefined &&
    pid === undefined &&
    uts === undefined &&
    (ipc === undefined || ipc === 'shareable')
  );
}

/** Equal for starts whose plans differ in id, name and record only. @param shared as `sharedText` gives it */
export function kindOfStart(record: LiveRecord, shared: string, facts: HostFacts): string {
  const {owner, network} = record;
  const hosts = network === 'host' ? facts.hosts(record) : '';
  return [owner.pid, ownHostname(record) ?? '', facts.resolvConf, hosts, shared].join('\n');
}

/** Equal for starts whose surroundings are the same: all that the `environment` steps of a plan are made of. */
export function kindOfBase(
  surroundings: string,
  {pid}: Pick<ProcessIdentity, 'pid'>,
  facts: Pick<HostFacts, 'resolvConf'>,
): string {
  return [pid, facts.resolvConf, surroundings].join('\n');
}

/** The container's part of `kindOfBase`. */
export function surroundingsText(config: ContainerConfig): string {
  const {image, domainname, network, limits, whenUnavailable, cgroupParent, sysctls} = config;
  const {shmSizeBytes, oomScoreAdj, mounts, readOnly, workdir, deviceRules, systemPaths} = config;
  return JSON.stringify([
    ...[image.id, ownHostname(config), domainname, network, limits, whenUnavailable, cgroupParent],
    ...[sysctls, shmSizeBytes, oomScoreAdj, mounts, readOnly && workdir, deviceRules, systemPaths],
  ]);
}

/** Null: the first digits of its id. */
function ownHostname({id, hostname}: ContainerConfig): string | null {
  return hostname === id.slice(0, SHORT_ID) ? null : hostname;
}

type PlanTemplateWithWarnings = PlanTemplate & {readonly warnings: readonly string[]};

/** Remembers the templates of the last kinds; a program starts few. */
export class PlanTemplates {
  static readonly #MOST = 32;
  readonly #templates = new Map<string, () => PlanTemplateWithWarnings | undefined>();

  find(kind: string): PlanTemplateWithWarnings | undefined {
    return this.#templates.get(kind)?.();
  }

  add(kind: string, plan: Plan, identity: StartIdentity, warnings: readonly string[]): Buffer {
    const encoded = encodePlan(plan);
    if (this.#templates.size === PlanTemplates.#MOST)
      this.#templates.delete(this.#templates.keys().next().value!);
    // Made for the second start of its kind: the first of a process is its slowest, and often its only one.
    let made: PlanTemplateWithWarnings | undefined;
    this.#templates.set(kind, () => {
      if (made === undefined) {
        const template = makeTemplate(plan, encoded, identity);
        made = template && {...template, warnings};
      }
      return made;
    });
    return encoded;
  }
}

function setText(bytes: Buffer, step: number, field: number, offset: number, length: number): void {
  const at = STEP_LAYOUT.firstStep + step * STEP_LAYOUT.bytes + field;
  bytes.writeUInt32LE(offset, at);
  bytes.writeUInt32LE(length, at + 4);
}

function placesOf(bytes: Buffer, text: string | Uint8Array): number[] {
  const found: number[] = [];
  for (let at = bytes.indexOf(text, 0, 'latin1'); at !== -1; at = bytes.indexOf(text, at + 1, 'latin1'))
    found.push(at);
  return found;
}

function indexesOf(steps: readonly Step[], wanted: (step: Step) => boolean): number[] {
  return steps.flatMap((step, index) => (wanted(step) ? [index] : []));
}
