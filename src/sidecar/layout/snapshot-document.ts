/** The config of a snapshot's artifact, and of a result's: what the manifest does not say to everybody. */
import {readJson} from '../../sdk/index.js';
import type {Application, Consistency, Snapshot, SnapshotPart, SnapshotResult} from '../repository.js';
import {ID_BYTES} from './chunk-store.js';
import {damaged} from './repository-errors.js';

const {object, string, strings, stringMap, list, count, optional, parseObject} = readJson;

export interface SnapshotDocument {
  /** Of the repository: a snapshot of another has no business here. */
  readonly repository: string;
  readonly snapshot: Omit<Snapshot, 'id'>;
  /** Of each part, the chunks that its tree is joined of. */
  readonly trees: ReadonlyMap<string, readonly Buffer[]>;
}

const VERSION = 1;

export function encodeSnapshot({repository, snapshot, trees}: SnapshotDocument): Buffer {
  const {parts, ...facts} = snapshot;
  const withTrees = parts.map(part => ({
    ...part,
    tree: (trees.get(part.name) ?? []).map(id => id.toString('hex')),
  }));
  return Buffer.from(JSON.stringify({version: VERSION, repository, ...facts, parts: withTrees}));
}

/** @param subject the blob's digest @throws `ERR_REPOSITORY_DAMAGED` */
export function parseSnapshot(bytes: Buffer, subject: string): SnapshotDocument {
  return parse(bytes, subject, 'a snapshot', json => {
    const trees = new Map<string, readonly Buffer[]>();
    const parts = list(json['parts'], 'parts').map(value => {
      const part = object(value, 'a part');
      const name = string(part['name'], 'name');
      trees.set(name, strings(part['tree'], 'tree').map(parseId));
      return parsePart(part, name);
    });
    const parent = optional(json['parent'], string, 'parent');
    return {
      repository: string(json['repository'], 'repository'),
      snapshot: {
        time: string(json['time'], 'time'),
        host: string(json['host'], 'host'),
        tags: strings(json['tags'], 'tags'),
        consistency: oneOf(CONSISTENCIES, json['consistency'], 'consistency'),
        paused: strings(json['paused'], 'paused'),
        pausedMs: count(json['pausedMs'], 'pausedMs'),
        applications: list(json['applications'], 'applications').map(parseApplication),
        ...(parent !== undefined && {parent}),
        parts,
        addedBytes: count(json['addedBytes'], 'addedBytes'),
      },
      trees,
    };
  });
}

const CONSISTENCIES = [
  'none',
  'pause',
  'stop',
  'hook',
  'dump',
  'snapshot',
] as const satisfies readonly Consistency[];

function parsePart(part: readJson.JsonObject, name: string): SnapshotPart {
  const digest = optional(part['digest'], string, 'digest');
  return {
    kind: oneOf(['volume', 'dump'], part['kind'], 'kind'),
    name,
    entries: count(part['entries'], 'entries'),
    bytes: count(part['bytes'], 'bytes'),
    ...(digest !== undefined && {digest}),
  };
}

function parseApplication(value: unknown): Application {
  const json = object(value, 'an application');
  const user = optional(json['user'], string, 'user');
  return {
    name: string(json['name'], 'name'),
    image: string(json['image'], 'image'),
    argv: strings(json['argv'], 'argv'),
    ...(user !== undefined && {user}),
    targets: stringMap(json['targets'], 'targets'),
  };
}

function parseId(digits: string): Buffer {
  const id = Buffer.from(digits, 'hex');
  if (id.length !== ID_BYTES) throw new TypeError('a chunk of a tree has no id');
  return id;
}

export function encodeResult(repository: string, result: SnapshotResult): Buffer {
  return Buffer.from(JSON.stringify({version: VERSION, repository, ...result}));
}

/** @param subject the blob's digest @throws `ERR_REPOSITORY_DAMAGED` */
export function parseResult(bytes: Buffer, subject: string): SnapshotResult & {readonly repository: string} {
  return parse(bytes, subject, 'a result', json => ({
    repository: string(json['repository'], 'repository'),
    kind: oneOf(['verify', 'drill'], json['kind'], 'kind'),
    snapshot: string(json['snapshot'], 'snapshot'),
    time: string(json['time'], 'time'),
    passed: readJson.boolean(json['passed'], 'passed'),
    notes: strings(json['notes'], 'notes'),
  }));
}

function parse<T>(bytes: Buffer, subject: string, what: string, read: (json: readJson.JsonObject) => T): T {
  try {
    const json = parseObject(bytes, what);
    if (json['version'] !== VERSION) throw new TypeError(`it is of version ${String(json['version'])}`);
    return read(json);
  } catch (error) {
    throw damaged(subject, `is not ${what}: ${(error as Error).message}`, error);
  }
}

function oneOf<T extends string>(known: readonly T[], value: unknown, where: string): T {
  const found = known.find(each => each === value);
  if (found === undefined) throw new TypeError(`${where} is none of ${known.join(', ')}`);
  return found;
}
