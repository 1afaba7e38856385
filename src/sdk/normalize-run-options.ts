import type {Limits} from '../cgroup/index.js';
import {CoracleError} from '../errors.js';
import {resolveCapabilities} from './capabilities.js';
import {cleanCgroupPath} from './cgroup-path.js';
import {cleanPath, normalizeDevices, normalizeMounts} from './check-mounts.js';
import {invalidOption} from './check-option.js';
import {checkRunOptions} from './check-run-options.js';
import type {Configuration} from './config-file.js';
import {DEFAULT_SHM_BYTES} from './docker-defaults.js';
import {envKey} from './env-key.js';
import type {Link} from './links.js';
import type {LogConfig} from './log-config.js';
import {type NameResolution, parseExtraHost} from './name-resolution.js';
import {isOwnNetwork, normalizeNetworks, refuseNetworks} from './normalize-networks.js';
import {parseExpose} from './parse-port.js';
import type {
  AsWritten,
  Device,
  Mount,
  NetworkMode,
  NetworkOptions,
  OutputTarget,
  PublishedPort,
  RestartPolicy,
  RunOptions,
  SeccompDocument,
  StdinSource,
  Ulimit,
  UlimitName,
  UserNamespaceMap,
} from './run-options.js';

/** Who asks: code, or somebody who expects Docker's defaults (command line, Engine API). */
export type Door = 'sdk' | 'docker';

/** `RunOptions` with every default filled in; `undefined` stands where the image or the runtime decides. */
export interface NormalizedOptions {
  readonly command: readonly string[] | undefined;
  readonly entrypoint: readonly string[] | undefined;
  /** `KEY=value`, or `KEY` to remove it; each key once. */
  readonly env: readonly string[];
  readonly workdir: string | undefined;
  readonly user: string | undefined;
  readonly groups: readonly string[];
  readonly hostname: string | undefined;
  readonly domainname: string;
  readonly name: string | undefined;
  readonly labels: Readonly<Record<string, string>>;
  readonly stdin: StdinSource;
  readonly stdout: OutputTarget;
  readonly stderr: OutputTarget;
  readonly tty: boolean;
  readonly terminalSize: {readonly rows: number; readonly columns: number} | undefined;
  readonly attach: readonly ('stdin' | 'stdout' | 'stderr')[] | undefined;
  readonly asWritten: AsWritten | undefined;
  readonly outputLimitBytes: number;
  readonly limits: Limits;
  readonly whenUnavailable: 'error' | 'warn';
  readonly ulimits: Readonly<Partial<Record<UlimitName, Ulimit>>>;
  readonly deadlineMs: number | undefined;
  readonly startDeadlineMs: number;
  readonly mounts: readonly Mount[];
  readonly volumesFrom: readonly string[];
  readonly devices: readonly Required<Device>[];
  readonly deviceRules: readonly string[];
  readonly shmSizeBytes: number;
  readonly readOnly: boolean;
  /** Upper case with `CAP_`, or `ALL`. */
  readonly capabilities: {readonly add: readonly string[]; readonly drop: readonly string[]};
  readonly privileged: boolean;
  readonly seccomp: 'default' | 'unconfined' | SeccompDocument | {readonly path: string};
  readonly systemPaths: 'default' | 'unconfined';
  readonly noNewPrivileges: boolean;
  readonly userNamespace: 'host' | UserNamespaceMap;
  readonly oomScoreAdj: number;
  readonly sysctls: Readonly<Record<string, string>>;
  readonly network: NetworkMode;
  /** Undefined: `network` alone, if that is one of those that are always there. */
  readonly networks: readonly NetworkOptions[] | undefined;
  readonly ports: readonly Required<PublishedPort>[];
  /** `80/tcp` each. */
  readonly expose: readonly string[];
  readonly publishAll: boolean;
  readonly extraHosts: readonly string[];
  /** To containers on the default bridge, by name or id. */
  readonly links: readonly Link[];
  readonly dns: NameResolution;
  readonly pid: NonNullable<RunOptions['pid']>;
  readonly ipc: NonNullable<RunOptions['ipc']>;
  readonly uts: NonNullable<RunOptions['uts']>;
  /** Without slashes at its ends; undefined: the runtime's. */
  readonly cgroupParent: string | undefined;
  /** Undefined: Docker's default, for what is detached. */
  readonly log: LogConfig | undefined;
  readonly restart: RestartPolicy | undefined;
  readonly healthcheck: RunOptions['healthcheck'] | undefined;
  readonly init: boolean;
  readonly stopSignal: string | undefined;
  readonly stopTimeoutMs: number | undefined;
  readonly autoRemove: boolean;
  readonly platform: string | undefined;
  readonly pull: NonNullable<RunOptions['pull']>;
  readonly signal: AbortSignal | undefined;
  readonly door: Door;
}

export const DEFAULT_STOP_TIMEOUT_MS = 10_000;
export const DEFAULT_START_DEADLINE_MS = 10_000;
export const DEFAULT_OUTPUT_LIMIT_BYTES = 1024 * 1024;

/** What the configuration file may say of containers. */
export type ConfiguredDefaults = Pick<
  Configuration,
  'ulimits' | 'shmSizeBytes' | 'seccomp' | 'noNewPrivileges' | 'init'
>;

/**
 * Merges the defaults, the configured before the door's, and refuses what cannot be meant. Pure: nothing on the host is
 * touched.
 * @throws CoracleError `ERR_INVALID_OPTION`, `details.option` names it
 */
export function normalizeRunOptions(
  options: RunOptions,
  door: Door = 'sdk',
  verb: 'run' | 'create' = 'run',
  configured: ConfiguredDefaults = {},
): NormalizedOptions {
  checkRunOptions(options);
  const privileged = options.privileged ?? false;
  const normalized: NormalizedOptions = {
    command: options.command,
    entrypoint: options.entrypoint,
    env: normalizeEnv(options.env ?? []),
    workdir: options.workdir === undefined ? undefined : cleanPath(options.workdir),
    user: options.user,
    groups: options.groups ?? [],
    hostname: options.hostname,
    domainname: options.domainname ?? '',
    name: options.name?.replace(/^\//, ''),
    labels: options.labels ?? {},
    stdin: options.stdin ?? 'ignore',
    stdout: options.stdout ?? 'pipe',
    stderr: options.stderr ?? 'pipe',
    tty: options.tty ?? false,
    terminalSize: options.terminalSize,
    attach: options.attach,
    asWritten: options.asWritten,
    outputLimitBytes: options.outputLimitBytes ?? DEFAULT_OUTPUT_LIMIT_BYTES,
    limits: options.limits ?? {},
    whenUnavailable: options.whenUnavailable ?? 'error',
    ulimits: {...configured.ulimits, ...normalizeUlimits(options.ulimits ?? {})},
    deadlineMs: options.deadlineMs,
    startDeadlineMs: options.startDeadlineMs ?? DEFAULT_START_DEADLINE_MS,
    mounts: normalizeMounts(options.mounts ?? []),
    volumesFrom: options.volumesFrom ?? [],
    devices: normalizeDevices(options.devices ?? []),
    deviceRules: options.deviceRules ?? [],
    shmSizeBytes: options.shmSizeBytes ?? configured.shmSizeBytes ?? DEFAULT_SHM_BYTES,
    readOnly: options.readOnly ?? false,
    capabilities: {
      add: (options.capabilities?.add ?? []).map(capabilityName),
      drop: (options.capabilities?.drop ?? []).map(capabilityName),
    },
    privileged,
    seccomp: options.seccomp ?? (privileged ? 'unconfined' : (configured.seccomp ?? 'default')),
    systemPaths: options.systemPaths ?? 'default',
    noNewPrivileges: options.noNewPrivileges ?? configured.noNewPrivileges ?? door === 'sdk',
    userNamespace: options.userNamespace ?? 'host',
    oomScoreAdj: options.oomScoreAdj ?? 0,
    sysctls: options.sysctls ?? {},
    ...normalizeNetworks(options),
    ports: (options.ports ?? []).map(normalizePort),
    expose: (options.expose ?? []).flatMap(parseExpose),
    publishAll: options.publishAll ?? false,
    extraHosts: (options.extraHosts ?? []).map(normalizeHost),
    dns: {
      servers: options.dns ?? [],
      search: options.dnsSearch ?? [],
      options: options.dnsOptions ?? [],
    },
    pid: options.pid ?? 'private',
    ipc: options.ipc ?? 'private',
    uts: options.uts ?? 'private',
    cgroupParent: options.cgroupParent === undefined ? undefined : cleanCgroupPath(options.cgroupParent),
    log: options.log && {driver: options.log.driver, options: options.log.options ?? {}},
    restart: options.restart,
    healthcheck: options.healthcheck,
    init: options.init ?? configured.init ?? false,
    stopSignal: options.stopSignal,
    stopTimeoutMs: options.stopTimeoutMs,
    autoRemove: options.autoRemove ?? (door === 'sdk' && verb === 'run'),
    platform: options.platform,
    pull: options.pull ?? 'missing',
    signal: options.signal,
    door,
  };
  refuseContradictions(normalized, verb);
  return normalized;
}

const EVERY_CAPABILITY = 2n ** 64n - 1n;

function refuseContradictions(options: NormalizedOptions, verb: 'run' | 'create'): void {
  const {privileged, userNamespace, network, sysctls, stdin, capabilities} = options;
  if (privileged && userNamespace !== 'host') {
    throw invalidOption(
      'userNamespace',
      'privileged mode is incompatible with user namespaces.  You must run the container in the host namespace when running privileged mode',
    );
  }
  if (network === 'host' && userNamespace !== 'host') {
    throw invalidOption(
      'network',
      "cannot share the host's network namespace when user namespaces are enabled",
    );
  }
  refuseNameServers(options);
  if (options.autoRemove && options.restart !== undefined && options.restart.name !== 'no') {
    throw invalidOption('restart', "can't create 'AutoRemove' container with restart policy");
  }
  // For its refusal of unknown names: what this host can hand on is decided at the start.
  resolveCapabilities({...capabilities, privileged}, EVERY_CAPABILITY);
  for (const name of Object.keys(sysctls)) checkSysctl(name, options);
  refuseSharedContradictions(options);
  refuseJoinedNetwork(options);
  refuseNetworks(options);
  if (verb === 'create' && stdin !== 'ignore' && stdin !== 'pipe') {
    throw invalidOption(
      'stdin',
      `stdin must be 'ignore' or 'pipe' for a container that is created to be started later: what it reads is said at each start`,
    );
  }
}

function refuseSharedContradictions(options: NormalizedOptions): void {
  const {uts, hostname, domainname, userNamespace} = options;
  if (uts === 'host' && hostname !== undefined)
    throw invalidOption('hostname', 'conflicting options: hostname and the UTS mode');
  if (uts === 'host' && domainname !== '')
    throw invalidOption('domainname', 'conflicting options: domainname and the UTS mode');
  if (userNamespace === 'host') return;
  for (const kind of ['pid', 'ipc', 'uts', 'network'] as const) {
    if (options[kind] === 'host' || options[kind].startsWith('container:')) {
      throw invalidOption(
        kind,
        `cannot share the ${kind.toUpperCase()} namespace of the host or of another container when user namespaces are enabled`,
      );
    }
  }
}

function refuseNameServers({network, networks = [], dns}: NormalizedOptions): void {
  const isResolved = [network, ...networks.map(({network}) => network)].some(isOwnNetwork);
  const loopback = dns.servers.find(server => /^\s*(127\.|::1\s*$)/.test(server));
  if (!isResolved || loopback === undefined) return;
  throw new CoracleError(
    'ERR_UNSUPPORTED_OPTION',
    `dns ${loopback.trim()} means the container's own loopback, where its resolver asks nobody`,
    {hint: "Leave it out to ask the host's own name servers, or name another.", details: {option: 'dns'}},
  );
}

/** dockerd's words: moby, runconfig/hostconfig_unix.go */
function refuseJoinedNetwork(options: NormalizedOptions): void {
  const {network, hostname, links, extraHosts, dns, ports, publishAll, expose} = options;
  if (network === 'host' && links.length > 0) {
    throw invalidOption(
      'links',
      "conflicting options: host type networking can't be used with links. This would result in undefined behavior",
    );
  }
  if (!network.startsWith('container:')) return;
  const clashes: readonly (readonly [option: string, isSaid: boolean, what: string])[] = [
    ['hostname', hostname !== undefined, 'hostname and the network mode'],
    ['dns', Object.values(dns).some(list => list.length > 0), 'dns and the network mode'],
    [
      'links',
      links.length > 0,
      "container type network can't be used with links. This would result in undefined behavior",
    ],
    ['extraHosts', extraHosts.length > 0, 'custom host-to-IP mapping and the network mode'],
    ['ports', ports.length > 0 || publishAll, 'port publishing and the container type network mode'],
    ['expose', expose.length > 0, 'port exposing and the container type network mode'],
  ];
  for (const [option, isSaid, what] of clashes)
    if (isSaid) throw invalidOption(option, `conflicting options: ${what}`);
}

/** Each key once, the last one wins, in the order of first mention, as Docker merges. */
export function normalizeEnv(env: NonNullable<RunOptions['env']>): readonly string[] {
  const byKey = new Map<string, string>();
  if (Array.isArray(env)) {
    for (const item of env as readonly string[]) byKey.set(envKey(item), item);
  } else {
    for (const [key, value] of Object.entries(env as Readonly<Record<string, string | null>>)) {
      byKey.set(key, value === null ? key : `${key}=${value}`);
    }
  }
  return [...byKey.values()];
}

function normalizeHost(text: string): string {
  const {name, address} = parseExtraHost(text);
  return `${name}:${address}`;
}

function normalizePort({
  containerPort,
  protocol = 'tcp',
  hostPort = 0,
  hostPortEnd = hostPort,
  hostAddress = '',
}: PublishedPort): Required<PublishedPort> {
  return {containerPort, protocol, hostPort, hostPortEnd, hostAddress};
}

function normalizeUlimits(ulimits: NonNullable<RunOptions['ulimits']>): NormalizedOptions['ulimits'] {
  const entries = Object.entries(ulimits).filter(([, limit]) => limit !== undefined);
  return Object.fromEntries(
    entries.map(([name, limit]) => [name, typeof limit === 'number' ? {soft: limit, hard: limit} : limit]),
  );
}

function capabilityName(name: string): string {
  const upper = name.toUpperCase();
  return upper === 'ALL' || upper.startsWith('CAP_') ? upper : `CAP_${upper}`;
}

/** Only what belongs to the container's own namespaces: the rest would change the host. */
function checkSysctl(name: string, {network, ipc}: Pick<NormalizedOptions, 'network' | 'ipc'>): void {
  const option = `sysctls.${name}`;
  if (/[/\\]|\.\.|^\.|\.$/.test(name)) throw invalidOption(option, `invalid sysctl name: ${name}`);
  if (name.startsWith('net.')) {
    if (network === 'host')
      throw invalidOption(option, `sysctl "${name}" not allowed in host network namespace`);
    return;
  }
  if (name.startsWith('fs.mqueue.') || IPC_SYSCTLS.has(name)) {
    if (ipc === 'host')
      throw invalidOption(option, `sysctl "${name}" is not allowed in the hosts ipc namespace`);
    return;
  }
  throw invalidOption(option, `sysctl "${name}" is not in a separate kernel namespace`);
}

/** ipc_namespaces(7). */
const IPC_SYSCTLS = new Set([
  'kernel.msgmax',
  'kernel.msgmnb',
  'kernel.msgmni',
  'kernel.sem',
  'kernel.shmall',
  'kernel.shmmax',
  'kernel.shmmni',
  'kernel.shm_rmid_forced',
]);
