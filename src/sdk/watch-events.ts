import type {JournalEvent} from '../store/index.js';
import {nowNanoseconds} from './nanosecond-time.js';

/** Something that happened to an object of the store, as Docker's events tell it. */
export type RuntimeEvent = JournalEvent;

export interface EventsOptions {
  /** From this time on; what is kept goes back to the last boot, and about two megabytes. @default what happens from now on */
  readonly since?: Date | bigint;
  /** Up to this time, then the end. @default no end */
  readonly until?: Date | bigint;
  /**
   * Only those that fit: of one name any value, of several names all. `type`, `event`, `container`, `image`, `volume`,
   * `network`, `label` (all of them), `scope`, `daemon` as in Docker; ids and names by their beginning. @default all
   */
  readonly filters?: Readonly<Record<string, readonly string[]>>;
  /** Ends it: the iteration throws its reason. */
  readonly signal?: AbortSignal;
}

/** Nanoseconds since 1970. */
export function nanosecondsOf(time: Date | bigint): bigint {
  return typeof time === 'bigint' ? time : BigInt(time.getTime()) * 1_000_000n;
}

/** Docker's own rules (moby, daemon/events/filter.go): names that it does not know there match everything. */
export function matchesFilters(event: RuntimeEvent, filters: NonNullable<EventsOptions['filters']>): boolean {
  const {type, action, id, attributes} = event;
  const values = (name: string) => filters[name] ?? [];
  const exact = (name: string, ...texts: string[]) =>
    values(name).length === 0 || texts.some(text => values(name).includes(text));
  const begins = (name: string, ...texts: (string | undefined)[]) =>
    values(name).length === 0 || texts.some(text => values(name).some(value => text?.startsWith(value)));
  const named = (name: string) => begins(name, id, attributes['name']);
  const image = type === 'container' ? attributes['image'] : attributes['name'];
  return (
    matchesAction(action, values('event')) &&
    exact('type', type) &&
    exact('scope', 'local') &&
    (values('daemon').length === 0 || (type === 'daemon' && named('daemon'))) &&
    NAMED.every(named) &&
    exact('image', id, withoutTag(id), ...(image === undefined ? [] : [image, withoutTag(image)])) &&
    values('label').every(label => hasLabel(attributes, label))
  );
}

/** Kinds of objects; of the last four there are none here. */
const NAMED = ['container', 'volume', 'network', 'plugin', 'node', 'service', 'secret', 'config'];

/** Those with a colon (`exec_start: sh -c …`) are asked for by their beginning. */
function matchesAction(action: string, wanted: readonly string[]): boolean {
  if (wanted.length === 0) return true;
  const byBeginning = wanted.some(name => ['health_status', 'exec_create', 'exec_start'].includes(name));
  return wanted.some(name => (byBeginning ? action.startsWith(name) : action === name));
}

function hasLabel(attributes: RuntimeEvent['attributes'], label: string): boolean {
  const equals = label.indexOf('=');
  if (equals === -1) return Object.hasOwn(attributes, label);
  return (
    Object.hasOwn(attributes, label.slice(0, equals)) &&
    attributes[label.slice(0, equals)] === label.slice(equals + 1)
  );
}

function withoutTag(image: string): string {
  return image.replace(/@.*$/, '').replace(/:[^/:]*$/, '');
}

/**
 * Docker's message of an event as JSON: times are integers beyond what a JavaScript number holds, so it is text. `status`,
 * `id` and `from` are what engines before 1.10 sent, for containers and images.
 */
export function eventJson({type, action, id, attributes, timeNs}: RuntimeEvent): string {
  const isOld = type === 'container' || type === 'image';
  const from = type === 'container' ? attributes['image'] : undefined;
  const sorted = Object.fromEntries(
    Object.entries(attributes).sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b))),
  );
  const message = {
    ...(isOld && {status: action}),
    ...(isOld && id !== '' && {id}),
    ...(from && {from}),
    Type: type,
    Action: action,
    Actor: {ID: id, Attributes: sorted},
    scope: 'local',
  };
  const time = timeNs / 1_000_000_000n;
  return `${JSON.stringify(message).slice(0, -1)},"time":${time},"timeNano":${timeNs}}`;
}

export async function* watchEvents(
  journal: {
    watch(options: {sinceNs?: bigint; untilNs?: bigint; signal?: AbortSignal}): AsyncIterable<RuntimeEvent>;
  },
  {since, until, filters = {}, signal}: EventsOptions,
): AsyncGenerator<RuntimeEvent, void, void> {
  const untilNs = until === undefined ? undefined : nanosecondsOf(until);
  // Docker too: an end in the past without a beginning has nothing in between.
  if (since === undefined && untilNs !== undefined && untilNs <= nowNanoseconds()) return;
  const events = journal.watch({
    ...(since !== undefined && {sinceNs: nanosecondsOf(since)}),
    ...(untilNs !== undefined && {untilNs}),
    ...(signal && {signal}),
  });
  for await (const event of events) if (matchesFilters(event, filters)) yield event;
}
