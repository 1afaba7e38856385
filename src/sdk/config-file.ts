/**
 * The configuration file: what holds for every container where neither options nor environment say otherwise. Keys and
 * their meaning are those of dockerd's daemon.json.
 * https://docs.docker.com/reference/cli/dockerd/#daemon-configuration-file
 */
import {readFileSync, statSync} from 'node:fs';
import {homedir} from 'node:os';
import {isAbsolute, join} from 'node:path';
import {isHostRoot} from '../binding/index.js';
import {CoracleError} from '../errors.js';
import {type AddressPool, networkSize, parseIp, parseNetwork} from '../network/index.js';
import {describe} from './check-option.js';
import type {ImagePolicy, ImageRule} from './image-policy.js';
import {nearestName} from './nearest-name.js';
import {parseSize} from './parse-size.js';
import {ULIMIT_NAMES, type Ulimit, type UlimitName} from './run-options.js';

/** What the file says. Absent = it says nothing of it. */
export interface Configuration {
  /** What lasts: images, containers, volumes. Absolute. `data-root` */
  readonly dataRoot?: string;
  /** What ends with the next boot. Absolute. `exec-root` */
  readonly execRoot?: string;
  /** How containers get their root file systems: `overlay2` or `vfs`. `storage-driver` */
  readonly storageDriver?: string;
  /** Limits of processes, one by one under a container's own. `default-ulimits` */
  readonly ulimits?: Readonly<Partial<Record<UlimitName, Ulimit>>>;
  /** Of /dev/shm. `default-shm-size` */
  readonly shmSizeBytes?: number;
  /** 'default' = Docker's. `seccomp-profile`, where 'builtin' is its word for that */
  readonly seccomp?: 'default' | 'unconfined' | {readonly path: string};
  /** `no-new-privileges` */
  readonly noNewPrivileges?: boolean;
  /** `init` */
  readonly init?: boolean;
  /** The cgroup that holds the containers' cgroups: `batch/nightly`. `cgroup-parent` */
  readonly cgroupParent?: string;
  /** Address and subnet of the default bridge: `192.168.5.1/24`. `bip` */
  readonly bip?: string;
  /** Where subnets of networks are taken from that were given none. `default-address-pools` */
  readonly pools?: readonly AddressPool[];
  /** Of the default bridge, in bytes: 68 to 65535. `mtu` */
  readonly mtu?: number;
  /** Whether a bridge may be let through where dockerd's or another firewall drops what it does not know. `allow-forwarding`, our own key */
  readonly allowForwarding?: boolean;
  /** Registries that may be asked without TLS, or whose certificate proves nothing: `host[:port]` or subnets. `insecure-registries` */
  readonly insecureRegistries?: readonly string[];
  /** Addresses that are asked for images of docker.io before itself. `registry-mirrors` */
  readonly registryMirrors?: readonly string[];
  /** The registry that names without one mean: `host[:port]`. `default-registry`, our own key */
  readonly defaultRegistry?: string;
  /** Directory with one of certificates for each registry. Absolute. `certs-dir`, our own key */
  readonly certsDirectory?: string;
  /** Which images may be used. `image-policy`, our own key */
  readonly imagePolicy?: ImagePolicy;
  /** Layers that are fetched, and sent, at once. `max-concurrent-downloads`, `max-concurrent-uploads` */
  readonly maxConcurrentDownloads?: number;
  readonly maxConcurrentUploads?: number;
  /** How often a registry is asked in vain. `max-download-attempts` */
  readonly maxDownloadAttempts?: number;
  /** Level of the command line's log on stderr. `log-level`, or 'debug' with `debug` */
  readonly logLevel?: LogLevel;
}

export type LogLevel = (typeof LOG_LEVELS)[number];
const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'fatal'] as const;

/**
 * Reads `CORACLE_CONFIG`, /etc/coracle/config.json for root, or coracle/config.json below XDG_CONFIG_HOME for others. A
 * file that is not there says nothing, unless it was named.
 * @throws `ERR_CONFIG_INVALID`
 */
export function readConfigFile(
  environment: NodeJS.ProcessEnv = process.env,
  isRoot = isHostRoot(),
): Configuration {
  const path = configPath(environment, isRoot);
  let text: string;
  try {
    // Most hosts have none: asked this way that is no error, which would take a program that just began 0.3 ms.
    if (statSync(path, {throwIfNoEntry: false}) === undefined && !environment['CORACLE_CONFIG']) return {};
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    const {code} = cause as NodeJS.ErrnoException;
    const absent = code === 'ENOENT' || code === 'ENOTDIR';
    if (absent && !environment['CORACLE_CONFIG']) return {};
    throw invalid(path, `it cannot be read: ${code}`, cause);
  }
  return parseConfig(text, path);
}

/** The XDG base directory specification has relative paths ignored. */
export function configPath(environment: NodeJS.ProcessEnv, isRoot: boolean): string {
  if (environment['CORACLE_CONFIG']) return environment['CORACLE_CONFIG'];
  if (isRoot) return '/etc/coracle/config.json';
  const home = environment['XDG_CONFIG_HOME'] ?? '';
  return join(isAbsolute(home) ? home : join(homedir(), '.config'), 'coracle', 'config.json');
}

/** Pure. An empty text says nothing. @param path for messages @throws `ERR_CONFIG_INVALID` */
export function parseConfig(text: string, path: string): Configuration {
  if (text.trim() === '') return {};
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch (cause) {
    throw invalid(path, `it is not JSON: ${(cause as Error).message}`, cause);
  }
  const file = new Section(path, '', document);
  file.refuseOthers(KEYS);
  const shmSize = file.string('default-shm-size');
  const ulimits = file.section('default-ulimits');
  const profile = file.string('seccomp-profile');
  const policy = file.section('image-policy');
  const logLevel = file.boolean('debug') ? 'debug' : file.oneOf('log-level', LOG_LEVELS);
  return defined({
    dataRoot: file.absolutePath('data-root'),
    execRoot: file.absolutePath('exec-root'),
    storageDriver: file.string('storage-driver'),
    ulimits: ulimits && parseUlimits(ulimits),
    shmSizeBytes: shmSize === undefined ? undefined : parseShmSize(file, shmSize),
    seccomp: profile === undefined ? undefined : parseProfile(file, profile),
    noNewPrivileges: file.boolean('no-new-privileges'),
    init: file.boolean('init'),
    cgroupParent: file.cgroupPath('cgroup-parent'),
    bip: file.bridgeAddress('bip'),
    pools: file.sections('default-address-pools')?.map(parsePool),
    mtu: file.integer('mtu', 68, 65_535),
    allowForwarding: file.boolean('allow-forwarding'),
    insecureRegistries: file.strings('insecure-registries'),
    registryMirrors: file.strings('registry-mirrors')?.map(address => parseMirror(file, address)),
    defaultRegistry: file.string('default-registry'),
    imagePolicy: policy && parsePolicy(policy),
    certsDirectory: file.absolutePath('certs-dir'),
    maxConcurrentDownloads: file.integer('max-concurrent-downloads', 1, 100),
    maxConcurrentUploads: file.integer('max-concurrent-uploads', 1, 100),
    maxDownloadAttempts: file.integer('max-download-attempts', 1, 100),
    logLevel,
  });
}

const KEYS = [
  'allow-forwarding',
  'bip',
  'certs-dir',
  'cgroup-parent',
  'data-root',
  'debug',
  'default-address-pools',
  'default-registry',
  'default-shm-size',
  'default-ulimits',
  'exec-root',
  'image-policy',
  'init',
  'insecure-registries',
  'log-level',
  'max-concurrent-downloads',
  'max-concurrent-uploads',
  'max-download-attempts',
  'mtu',
  'no-new-privileges',
  'registry-mirrors',
  'seccomp-profile',
  'storage-driver',
] as const;

/** `{"nofile": {"Name": "nofile", "Soft": 1024, "Hard": 2048}}`; -1 = unlimited. */
function parseUlimits(section: Section): Configuration['ulimits'] {
  section.refuseOthers(ULIMIT_NAMES);
  const limits: Partial<Record<UlimitName, Ulimit>> = {};
  for (const name of ULIMIT_NAMES) {
    const entry = section.section(name);
    if (entry === undefined) continue;
    entry.refuseOthers(['Name', 'Soft', 'Hard']);
    entry.oneOf('Name', [name]);
    const [soft, hard] = [entry.limit('Soft'), entry.limit('Hard')];
    if (hard !== -1 && (soft === -1 || soft > hard)) entry.refuse('Soft', 'must not be above Hard');
    limits[name] = {soft, hard};
  }
  return limits;
}

/** `{"base": "10.200.0.0/16", "size": 24}`: networks of 24 leading bits. */
function parsePool(section: Section): AddressPool {
  section.refuseOthers(['base', 'size']);
  const text = section.string('base') ?? '';
  const subnet = parseNetwork(text);
  if (subnet === undefined || subnet.family !== 4)
    return section.refuse('base', `must be a subnet of IPv4 such as "10.200.0.0/16", not ${describe(text)}`);
  const size = section.integer('size', subnet.prefixLength, 30);
  return size === undefined ? section.refuse('size', 'is missing') : {subnet, size};
}

/** `{"default": "accept", "rules": {"registry.example/team": {"signedBy": ["/etc/coracle/team.pub"]}}}` */
function parsePolicy(section: Section): ImagePolicy {
  section.refuseOthers(['default', 'rules']);
  const rules = section.section('rules');
  return {
    default: parseRule(section, 'default') ?? 'accept',
    rules: new Map(rules?.keys.map(place => [place, parseRule(rules, place)!])),
  };
}

function parseRule(section: Section, key: string): ImageRule | undefined {
  if (!section.isObject(key)) return section.oneOf(key, ['accept', 'reject'] as const);
  const rule = section.section(key)!;
  rule.refuseOthers(['signedBy', 'signedAs']);
  const signedBy = rule.strings('signedBy') ?? [];
  if (signedBy.length === 0 || !signedBy.every(isAbsolute))
    rule.refuse('signedBy', 'must be absolute paths of public keys');
  const signedAs = rule.string('signedAs');
  return {signedBy, ...(signedAs !== undefined && {signedAs})};
}

/** As dockerd takes it: no path, no name and password. */
function parseMirror(file: Section, text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isPlain = url && /^https?:$/.test(url.protocol) && url.pathname === '/' && !url.search && !url.hash;
  if (isPlain && url.username === '') return url.href;
  return file.refuse('registry-mirrors', 'must be addresses such as "https://mirror.example"');
}

function parseShmSize(file: Section, text: string): number {
  let bytes = 0;
  try {
    bytes = parseSize(text);
  } catch (cause) {
    file.refuse('default-shm-size', `must be a size such as "64m": ${(cause as Error).message}`);
  }
  if (bytes < 1) file.refuse('default-shm-size', 'must be more than nothing');
  return bytes;
}

function parseProfile(file: Section, text: string): NonNullable<Configuration['seccomp']> {
  if (text === '' || text === 'builtin') return 'default';
  if (text === 'unconfined') return text;
  return {path: file.absolutePath('seccomp-profile')!};
}

/** An object of the file: each getter gives a key's value, undefined where it is absent, and refuses another type. */
class Section {
  readonly #path: string;
  readonly #prefix: string;
  readonly #values: Readonly<Record<string, unknown>>;

  constructor(path: string, name: string, value: unknown) {
    this.#path = path;
    this.#prefix = name === '' ? '' : `${name}.`;
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw invalid(path, `${name || 'it'} must be an object, not ${describe(value)}`);
    }
    this.#values = value as Readonly<Record<string, unknown>>;
  }

  refuseOthers(known: readonly string[]): void {
    for (const key of Object.keys(this.#values)) {
      if (known.includes(key)) continue;
      const meant = nearestName(key, known);
      const hint = meant === undefined ? `known: ${known.join(', ')}` : `did you mean ${meant}?`;
      throw invalid(this.#path, `unknown key ${this.#prefix}${key}; ${hint}`);
    }
  }

  refuse(key: string, why: string): never {
    throw invalid(this.#path, `${this.#prefix}${key} ${why}`);
  }

  section(key: string): Section | undefined {
    const value = this.#values[key];
    return value === undefined ? undefined : new Section(this.#path, `${this.#prefix}${key}`, value);
  }

  get keys(): readonly string[] {
    return Object.keys(this.#values);
  }

  isObject(key: string): boolean {
    return typeof this.#values[key] === 'object' && this.#values[key] !== null;
  }

  string(key: string): string | undefined {
    const value = this.#values[key];
    if (value === undefined) return undefined;
    if (typeof value !== 'string') return this.refuse(key, `must be a string, not ${describe(value)}`);
    return value.includes('\0') ? this.refuse(key, 'must not contain a NUL character') : value;
  }

  absolutePath(key: string): string | undefined {
    const value = this.string(key);
    if (value === undefined || isAbsolute(value)) return value;
    return this.refuse(key, `must be an absolute path, not ${describe(value)}`);
  }

  /** Below the root of each hierarchy, whether or not it begins with a slash, as Docker takes it; '' = nothing is said. */
  cgroupPath(key: string): string | undefined {
    const path = this.string(key)?.replace(/^\/+|\/+$/g, '');
    const wrong = path?.split('/').some(segment => /^\.{0,2}$/.test(segment));
    return path && wrong ? this.refuse(key, 'must be a path such as "batch/nightly"') : path || undefined;
  }

  boolean(key: string): boolean | undefined {
    const value = this.#values[key];
    if (value === undefined || typeof value === 'boolean') return value;
    return this.refuse(key, `must be true or false, not ${describe(value)}`);
  }

  oneOf<Word extends string>(key: string, words: readonly Word[]): Word | undefined {
    const value = this.string(key);
    if (value === undefined || (words as readonly string[]).includes(value)) return value as Word | undefined;
    return this.refuse(key, `must be ${words.join(', ')}, not ${describe(value)}`);
  }

  sections(key: string): Section[] | undefined {
    const value = this.#values[key];
    if (value === undefined) return undefined;
    if (!Array.isArray(value)) return this.refuse(key, `must be an array, not ${describe(value)}`);
    return value.map((item, i) => new Section(this.#path, `${this.#prefix}${key}[${i}]`, item));
  }

  strings(key: string): readonly string[] | undefined {
    const value = this.#values[key];
    if (value === undefined) return undefined;
    if (Array.isArray(value) && value.every(item => typeof item === 'string' && item !== '')) return value;
    return this.refuse(key, 'must be an array of strings');
  }

  integer(key: string, least: number, most: number): number | undefined {
    const value = this.#values[key];
    if (value === undefined) return undefined;
    if (Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= most)
      return value as number;
    return this.refuse(key, `must be a whole number from ${least} to ${most}, not ${describe(value)}`);
  }

  /** An address of IPv4 and how many leading bits its subnet has; not the subnet's first or last. */
  bridgeAddress(key: string): string | undefined {
    const text = this.string(key);
    if (text === undefined || text === '') return undefined;
    const network = parseNetwork(text);
    const address = parseIp(text.split('/')[0] ?? '');
    const last = network && network.base + networkSize(network) - 1n;
    if (network?.family === 4 && address?.value !== network.base && address?.value !== last) return text;
    return this.refuse(
      key,
      `must be an address and its subnet such as "192.168.5.1/24", not ${describe(text)}`,
    );
  }

  /** A limit of setrlimit(2); -1 = unlimited. */
  limit(key: string): number {
    const value = this.#values[key];
    if (Number.isSafeInteger(value) && (value as number) >= -1) return value as number;
    return this.refuse(key, `must be a whole number, -1 for no limit, not ${describe(value)}`);
  }
}

function invalid(path: string, why: string, cause?: unknown): CoracleError {
  return new CoracleError('ERR_CONFIG_INVALID', `the configuration file ${path} is not valid: ${why}`, {
    cause,
    hint: 'docs/configuration.md has every key; CORACLE_CONFIG names another file.',
    details: {path},
  });
}

type Defined<T> = {[Key in keyof T]?: Exclude<T[Key], undefined>};

function defined<T extends object>(values: T): Defined<T> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Defined<T>;
}
