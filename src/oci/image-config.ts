/**
 * An image's configuration: what its containers run unless told otherwise, and which layers it is made of. Field names
 * are Docker's, which OCI kept; the Docker-only ones (Healthcheck, Shell, OnBuild) are kept too.
 * @see https://github.com/opencontainers/image-spec/blob/main/config.md
 */
import {
  bad,
  boolean,
  count,
  type JsonObject,
  keySet,
  list,
  object,
  optional,
  parseObject,
  string,
  stringMap,
  strings,
} from './bounded-json.js';
import {type Digest, isDigest} from './digest.js';

/** Durations in nanoseconds, as Docker's JSON has them; 0 or absent inherits. */
export interface Healthcheck {
  readonly Test?: readonly string[];
  readonly Interval?: number;
  readonly Timeout?: number;
  readonly StartPeriod?: number;
  readonly StartInterval?: number;
  readonly Retries?: number;
}

export interface ContainerDefaults {
  readonly User?: string;
  readonly ExposedPorts?: Readonly<Record<string, Record<string, never>>>;
  /** `NAME=value` each. */
  readonly Env?: readonly string[];
  readonly Entrypoint?: readonly string[];
  readonly Cmd?: readonly string[];
  readonly Volumes?: Readonly<Record<string, Record<string, never>>>;
  readonly WorkingDir?: string;
  readonly Labels?: Readonly<Record<string, string>>;
  readonly StopSignal?: string;
  readonly StopTimeout?: number;
  readonly Shell?: readonly string[];
  readonly Healthcheck?: Healthcheck;
  readonly OnBuild?: readonly string[];
  readonly ArgsEscaped?: boolean;
}

export interface HistoryEntry {
  readonly created?: string;
  readonly created_by?: string;
  readonly author?: string;
  readonly comment?: string;
  readonly empty_layer?: boolean;
}

export interface ImageConfig {
  readonly created?: string;
  readonly author?: string;
  readonly architecture: string;
  readonly os: string;
  readonly variant?: string;
  readonly config: ContainerDefaults;
  readonly rootfs: {readonly type: 'layers'; readonly diff_ids: readonly Digest[]};
  readonly history: readonly HistoryEntry[];
}

/** Unknown fields are left out; what is known is checked. @throws `ERR_INVALID_IMAGE` */
export function parseImageConfig(document: Uint8Array | string): ImageConfig {
  const json = parseObject(document, 'the image configuration');
  const rootfs = object(json['rootfs'], 'rootfs');
  if (rootfs['type'] !== 'layers') throw bad('rootfs.type', 'is not "layers"');
  const text = (name: string) => optional(json[name], string, name);
  return defined<ImageConfig>({
    created: text('created'),
    author: text('author'),
    architecture: text('architecture') ?? '',
    os: text('os') ?? 'linux',
    variant: text('variant'),
    config: optional(json['config'], readDefaults, 'config') ?? {},
    rootfs: {type: 'layers', diff_ids: list(rootfs['diff_ids'] ?? [], 'rootfs.diff_ids').map(readDiffId)},
    history: (optional(json['history'], list, 'history') ?? []).map(readHistory),
  });
}

function readDiffId(value: unknown, index: number): Digest {
  if (isDigest(value)) return value;
  throw bad(`rootfs.diff_ids[${index}]`, 'is not a sha256 digest');
}

function readDefaults(value: unknown): ContainerDefaults {
  const json = object(value, 'config');
  const read = <T>(name: keyof ContainerDefaults, as: (value: unknown, where: string) => T) =>
    optional(json[name], as, `config.${name}`);
  return defined<ContainerDefaults>({
    User: read('User', string),
    ExposedPorts: read('ExposedPorts', keySet),
    Env: read('Env', readEnvironment),
    Entrypoint: read('Entrypoint', readCommand),
    Cmd: read('Cmd', readCommand),
    Volumes: read('Volumes', keySet),
    WorkingDir: read('WorkingDir', string),
    Labels: read('Labels', stringMap),
    StopSignal: read('StopSignal', string),
    StopTimeout: read('StopTimeout', count),
    Shell: read('Shell', strings),
    Healthcheck: read('Healthcheck', readHealthcheck),
    OnBuild: read('OnBuild', strings),
    ArgsEscaped: read('ArgsEscaped', boolean),
  });
}

/** Old Docker wrote a command as one string. */
function readCommand(value: unknown, where: string): readonly string[] {
  return typeof value === 'string' ? [string(value, where)] : strings(value, where);
}

function readEnvironment(value: unknown, where: string): readonly string[] {
  const environment = strings(value, where);
  const nameless = environment.find(entry => entry === '' || entry.startsWith('='));
  if (nameless !== undefined) throw bad(where, `has an entry without a name: ${JSON.stringify(nameless)}`);
  return environment;
}

function readHealthcheck(value: unknown, where: string): Healthcheck {
  const json = object(value, where);
  const number = (name: keyof Healthcheck) => optional(json[name], count, `${where}.${name}`);
  return defined<Healthcheck>({
    Test: optional(json['Test'], strings, `${where}.Test`),
    Interval: number('Interval'),
    Timeout: number('Timeout'),
    StartPeriod: number('StartPeriod'),
    StartInterval: number('StartInterval'),
    Retries: number('Retries'),
  });
}

function readHistory(value: unknown, index: number): HistoryEntry {
  const where = `history[${index}]`;
  const json: JsonObject = object(value, where);
  const text = (name: string) => optional(json[name], string, `${where}.${name}`);
  return defined<HistoryEntry>({
    created: text('created'),
    created_by: text('created_by'),
    author: text('author'),
    comment: text('comment'),
    empty_layer: optional(json['empty_layer'], boolean, `${where}.empty_layer`),
  });
}

/** Leaves out what is undefined, so that absent fields are absent in JSON and in comparisons. */
function defined<T extends object>(fields: {[Name in keyof T]: T[Name] | undefined}): T {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as T;
}
