import {posix} from 'node:path';
import {CoracleError} from '../errors.js';
import type {ContainerDefaults, Healthcheck} from '../oci/index.js';
import {cleanPath, refusalInProc} from './check-mounts.js';
import {DEFAULT_PATH} from './docker-defaults.js';
import {envKey} from './env-key.js';
import {asksForHealth, mergeHealthcheck} from './healthcheck.js';
import type {Link} from './links.js';
import type {LogConfig} from './log-config.js';
import type {NameResolution} from './name-resolution.js';
import {formatNanoseconds} from './nanosecond-time.js';
import type {NormalizedOptions} from './normalize-run-options.js';
import {parseSignal} from './parse-signal.js';
import {parseVolumesFrom} from './parse-volumes-from.js';
import type {
  AsWritten,
  BindMount,
  NetworkMode,
  NetworkOptions,
  OfContainer,
  RestartPolicy,
  SeccompDocument,
  TmpfsMount,
  VolumeMount,
} from './run-options.js';

/**
 * What a container is: `config.json` of its directory, written once under its lock. Plain JSON, so that a start, a
 * restart by another process and `inspect` need nothing else. Options and image are merged by Docker's rules.
 */
export interface ContainerConfig extends Unchanged {
  readonly version: 1;
  /** 64 hexadecimal digits. */
  readonly id: string;
  /** Without Docker's leading slash. */
  readonly name: string;
  /** RFC 3339 with nanoseconds, UTC. */
  readonly created: string;
  /** `id` is `sha256:…` of the image's config; `reference` as the caller wrote it. */
  readonly image: {readonly id: string; readonly reference: string};
  /** Platform of the image, e.g. `linux/amd64`. */
  readonly platform: string;

  /** What is executed: never empty. */
  readonly argv: readonly [string, ...string[]];
  /** The two halves it was made of, as `inspect` shows them. */
  readonly entrypoint: readonly string[] | null;
  readonly command: readonly string[] | null;
  /** Caller's and image's variables, without those that every container gets: see `processEnv`. */
  readonly env: readonly string[];
  /** Absolute, or '' = "/". */
  readonly workdir: string;
  /** '' = root. */
  readonly user: string;
  readonly hostname: string;
  readonly labels: Readonly<Record<string, string>>;
  /** As written, e.g. `SIGQUIT`; null = SIGTERM. */
  readonly stopSignal: string | null;
  /** null = the default, 10 s; -1 = for ever. */
  readonly stopTimeoutMs: number | null;
  readonly deadlineMs: number | null;
  readonly stdin: 'ignore' | 'pipe' | 'inherit' | 'content';
  readonly seccomp: ResolvedSeccomp;
  /** The caller's mounts, those of other containers, then the image's volumes that nothing else covers. */
  readonly mounts: readonly ConfiguredMount[];
  /** Containers whose mounts it has, as written. Absent: none. */
  readonly volumesFrom?: readonly string[];
  /** Which streams whoever made it meant to stay with, as Docker's client says; absent: all that there are. */
  readonly attach?: readonly ('stdin' | 'stdout' | 'stderr')[];
  /** For `inspect` alone. Absent: nothing that other options do not tell. */
  readonly asWritten?: AsWritten;
  /** Of its output while it is detached; absent: Docker's default. */
  readonly log?: LogConfig;
  /** Absent: never. */
  readonly restart?: RestartPolicy;
  /** Beyond those of its devices. Absent: none. */
  readonly deviceRules?: readonly string[];
  /** Nothing of /proc and /sys is masked. Absent: Docker's paths are. */
  readonly systemPaths?: 'unconfined';
  /** A terminal is its stdin, stdout and stderr. Absent: no. */
  readonly tty?: boolean;
  /** The terminal's size at first. */
  readonly terminalSize?: {readonly rows: number; readonly columns: number};
  /** The cgroup that holds the container's own; absent = Coracle's. */
  readonly cgroupParent?: string;
  /** Namespaces that are not its own alone; `container:` and an id of 64 digits. Absent = private. */
  readonly pid?: 'host' | OfContainer;
  readonly ipc?: 'shareable' | 'none' | 'host' | OfContainer;
  readonly uts?: 'host';
  /** Of the image's configuration, kept for `inspect` and for later releases. */
  readonly exposedPorts: readonly string[];
  /** Absent: none. */
  readonly ports?: NormalizedOptions['ports'];
  /** In the order of its interfaces. Absent: none but the default bridge, if that is its `network`. */
  readonly networks?: readonly NetworkAttachment[];
  /** `db:10.0.0.1` each. Absent: none. */
  readonly extraHosts?: readonly string[];
  /** Containers on the default bridge that it is told of. Absent: none. */
  readonly links?: readonly Link[];
  /** Absent: as the host has it. */
  readonly dns?: NameResolution;
  /** All of `exposedPorts` as well. Absent: no. */
  readonly publishAll?: boolean;
  readonly imageVolumes: readonly string[];
  /** The image's, under what options say. */
  readonly healthcheck: Healthcheck | null;
  /** Options asked for a health check: it is not started where there would be none. Absent: no. */
  readonly wantsHealth?: true;
  readonly shell: readonly string[] | null;
}

type Unchanged = Pick<
  NormalizedOptions,
  | 'groups'
  | 'domainname'
  | 'stdout'
  | 'stderr'
  | 'outputLimitBytes'
  | 'limits'
  | 'whenUnavailable'
  | 'ulimits'
  | 'startDeadlineMs'
  | 'devices'
  | 'shmSizeBytes'
  | 'readOnly'
  | 'capabilities'
  | 'privileged'
  | 'noNewPrivileges'
  | 'userNamespace'
  | 'oomScoreAdj'
  | 'sysctls'
  | 'network'
  | 'init'
  | 'autoRemove'
>;

/** A profile's file has been read: the record stands on its own. */
export type ResolvedSeccomp = 'default' | 'unconfined' | SeccompDocument;
export type ResolvedOptions = Omit<NormalizedOptions, 'seccomp'> & {readonly seccomp: ResolvedSeccomp};

/** A network that a container has a place on; what is absent was left to chance. */
export interface NetworkAttachment extends Omit<NetworkOptions, 'network'> {
  /** Its name. */
  readonly network: string;
  /** Of the network that was meant; absent for those that are always there. */
  readonly networkId?: string;
}

export type ConfiguredMount = ConfiguredBind | TmpfsMount | ConfiguredVolume;
/** `inherited` from another container. */
export type ConfiguredBind = BindMount & {readonly inherited?: true};
/** `anonymous` volumes are removed with the container by `--rm` and `rm -v`. */
export type ConfiguredVolume = VolumeMount & {
  readonly name: string;
  readonly anonymous: boolean;
  readonly inherited?: true;
};

export interface ConfiguredImage {
  readonly id: string;
  readonly reference: string;
  readonly platform: string;
  /** As `parseImageConfig` read it: types, sizes and NUL bytes are checked. */
  readonly config: ContainerDefaults;
}

export interface ContainerIdentity {
  readonly id: string;
  readonly name: string;
  /** Nanoseconds since 1970. */
  readonly now: bigint;
  /** The host's own name, which a container on the host's network keeps. */
  readonly hostHostname: string;
  readonly cgroupParent?: string | undefined;
  /** What its networks are called; undefined: see `ContainerConfig.networks`. */
  readonly attachments?: readonly NetworkAttachment[] | undefined;
  /** A fresh name for a volume without one: 64 hexadecimal digits. */
  readonly anonymousVolumeName: () => string;
  /** The host name of another container, whose network it shares. @throws `ERR_CONTAINER_NOT_FOUND` */
  readonly hostnameOf: (nameOrId: string) => string;
  /** The mounts of a container by name or beginning. @throws `ERR_CONTAINER_NOT_FOUND` */
  readonly mountsOf: (nameOrId: string) => readonly ConfiguredMount[];
  /** The id of a container by name or beginning. @throws `ERR_CONTAINER_NOT_FOUND` */
  readonly idOf: (nameOrId: string) => string;
}

/**
 * Merges options and image as dockerd does.
 * @throws CoracleError `ERR_INVALID_OPTION` when nothing says what to run, `ERR_INVALID_IMAGE` for an image's config
 * that no container can be made of
 */
export function makeContainerConfig(
  options: ResolvedOptions,
  image: ConfiguredImage,
  {
    id,
    name,
    now,
    hostHostname,
    cgroupParent,
    attachments,
    anonymousVolumeName,
    hostnameOf,
    mountsOf,
    idOf,
  }: ContainerIdentity,
): ContainerConfig {
  checkImageConfig(image);
  // Who shares a network is called what it is called there.
  const networkHostname = (network: NetworkMode) =>
    network === 'host'
      ? hostHostname
      : network.startsWith('container:')
        ? hostnameOf(nameIn(network))
        : undefined;
  const parent = options.cgroupParent ?? cgroupParent;
  const imageVolumes = Object.keys(image.config.Volumes ?? {})
    .map(target => cleanPath(posix.join('/', target)))
    .sort();
  return {
    version: 1,
    id,
    name,
    created: formatNanoseconds(now),
    image: {id: image.id, reference: image.reference},
    platform: image.platform,
    ...mergeCommand(options, image.config),
    env: mergeEnv(options.env, image.config.Env ?? []),
    workdir: options.workdir ?? mergedWorkdir(image.config.WorkingDir),
    user: options.user ?? image.config.User ?? '',
    groups: options.groups,
    hostname: options.hostname ?? networkHostname(options.network) ?? id.slice(0, 12),
    domainname: options.domainname,
    labels: {...image.config.Labels, ...options.labels},
    stopSignal: options.stopSignal ?? (image.config.StopSignal || null),
    stopTimeoutMs: options.stopTimeoutMs ?? secondsToMs(image.config.StopTimeout),
    stdin: typeof options.stdin === 'string' ? options.stdin : 'content',
    stdout: options.stdout,
    stderr: options.stderr,
    outputLimitBytes: options.outputLimitBytes,
    limits: options.limits,
    whenUnavailable: options.whenUnavailable,
    ulimits: options.ulimits,
    deadlineMs: options.deadlineMs ?? null,
    startDeadlineMs: options.startDeadlineMs,
    mounts: mergeMounts(
      options.mounts,
      inheritedMounts(options.volumesFrom, mountsOf),
      imageVolumes,
      anonymousVolumeName,
    ),
    ...(options.volumesFrom.length > 0 && {volumesFrom: options.volumesFrom}),
    devices: options.devices,
    ...(options.deviceRules.length > 0 && {deviceRules: options.deviceRules}),
    shmSizeBytes: options.shmSizeBytes,
    readOnly: options.readOnly,
    capabilities: options.capabilities,
    privileged: options.privileged,
    seccomp: options.seccomp,
    ...(options.systemPaths === 'unconfined' && {systemPaths: options.systemPaths}),
    noNewPrivileges: options.noNewPrivileges,
    userNamespace: options.userNamespace,
    oomScoreAdj: options.oomScoreAdj,
    sysctls: options.sysctls,
    network: resolved(options.network, idOf),
    init: options.init,
    autoRemove: options.autoRemove,
    ...(options.tty && {tty: true}),
    ...(options.tty && options.terminalSize && {terminalSize: options.terminalSize}),
    ...(options.attach && {attach: options.attach}),
    ...(options.asWritten && {asWritten: options.asWritten}),
    ...(options.log && {log: options.log}),
    ...(options.restart && {restart: options.restart}),
    ...(parent !== undefined && {cgroupParent: parent}),
    ...sharedNamespaces(options, idOf),
    exposedPorts: mergeExposed(options, image.config),
    ...(options.ports.length > 0 && {ports: options.ports}),
    ...(options.publishAll && {publishAll: true}),
    ...(attachments && {networks: attachments}),
    ...(options.links.length > 0 && {links: options.links.map(link => linked(link, idOf))}),
    ...(options.extraHosts.length > 0 && {extraHosts: options.extraHosts}),
    ...(Object.values(options.dns).some(list => list.length > 0) && {dns: options.dns}),
    imageVolumes,
    healthcheck: mergeHealthcheck(options.healthcheck, image.config.Healthcheck),
    ...(asksForHealth(options) && {wantsHealth: true}),
    shell: image.config.Shell ?? null,
  };
}

/** Only what is not private, so that most records say nothing. */
function sharedNamespaces(
  {pid, ipc, uts}: ResolvedOptions,
  idOf: ContainerIdentity['idOf'],
): Pick<ContainerConfig, 'pid' | 'ipc' | 'uts'> {
  return {
    ...(pid !== 'private' && {pid: resolved(pid, idOf)}),
    ...(ipc !== 'private' && {ipc: resolved(ipc, idOf)}),
    ...(uts !== 'private' && {uts}),
  };
}

/** @throws `ERR_CONTAINER_NOT_FOUND` in dockerd's words */
function linked({container, alias}: Link, idOf: ContainerIdentity['idOf']): Link {
  try {
    return {container: idOf(container), alias};
  } catch (error) {
    const {code, message, details} = error as CoracleError;
    throw new CoracleError(code, `could not get container for ${container}: ${message}`, {
      cause: error,
      ...(details && {details}),
    });
  }
}

/**
 * The environment of the container's process: Docker's PATH and HOSTNAME under what options and image say. HOME is
 * added from /etc/passwd by whoever resolves the user, unless it is set here.
 * @param linked variables of containers that it is linked to
 */
export function processEnv(
  {env, hostname, tty = false}: Pick<ContainerConfig, 'env' | 'hostname' | 'tty'>,
  linked: readonly string[] = [],
): string[] {
  const byKey = new Map([
    ['PATH', `PATH=${DEFAULT_PATH}`],
    ['HOSTNAME', `HOSTNAME=${hostname}`],
    ...(tty ? [['TERM', 'TERM=xterm'] as const] : []),
  ]);
  for (const variable of [...linked, ...env]) {
    if (variable.includes('=')) byKey.set(envKey(variable), variable);
    else byKey.delete(variable);
  }
  return [...byKey.values()];
}

/** An empty one is none, as for runc. */
export function withHome(env: readonly string[], {home}: {readonly home: string}): readonly string[] {
  if (!env.some(variable => variable.startsWith('HOME='))) return [...env, `HOME=${home}`];
  return env.map(variable => (variable === 'HOME=' ? `HOME=${home}` : variable));
}

function mergeCommand(
  {entrypoint, command}: ResolvedOptions,
  image: ContainerDefaults,
): Pick<ContainerConfig, 'argv' | 'entrypoint' | 'command'> {
  // An entrypoint of the caller's, even an empty one, makes the image's Cmd meaningless: it was written for the other.
  const mergedCommand = command?.length ? command : entrypoint === undefined ? (image.Cmd ?? []) : [];
  const mergedEntrypoint = entrypoint ?? image.Entrypoint ?? [];
  const [program, ...args] = [...mergedEntrypoint, ...mergedCommand];
  if (program === undefined) {
    throw new CoracleError('ERR_INVALID_OPTION', 'no command specified', {
      hint: 'The image has neither Entrypoint nor Cmd: say what to run.',
      details: {option: 'command'},
    });
  }
  return {
    argv: [program, ...args],
    entrypoint: mergedEntrypoint.length > 0 ? mergedEntrypoint : null,
    command: mergedCommand.length > 0 ? mergedCommand : null,
  };
}

function secondsToMs(seconds: number | undefined): number | null {
  return seconds === undefined ? null : seconds * 1000;
}

/** The caller's variables come first, the image's others after them: the order that `docker inspect` shows. */
function mergeEnv(own: readonly string[], image: readonly string[]): readonly string[] {
  const set = new Set(own.map(envKey));
  return [...own, ...image.filter(variable => !set.has(envKey(variable)))];
}

function mergedWorkdir(workdir: string | undefined): string {
  return workdir ? cleanPath(posix.join('/', workdir)) : '';
}

function mergeMounts(
  mounts: ResolvedOptions['mounts'],
  inherited: readonly ConfiguredMount[],
  imageVolumes: readonly string[],
  anonymousVolumeName: () => string,
): readonly ConfiguredMount[] {
  const configured = mounts.map((mount): ConfiguredMount => {
    if (mount.type !== 'volume') return mount;
    return {...mount, name: mount.name ?? anonymousVolumeName(), anonymous: mount.name === undefined};
  });
  const own = new Set(configured.map(({target}) => target));
  configured.push(...inherited.filter(({target}) => !own.has(target)));
  const covered = new Set(configured.map(({target}) => target));
  for (const target of imageVolumes) {
    if (covered.has(target)) continue;
    configured.push({
      type: 'volume',
      name: anonymousVolumeName(),
      anonymous: true,
      target,
      writtenAs: target,
    });
  }
  return configured;
}

/** Of two that have something at one place the later wins. File systems in memory are their container's alone. */
function inheritedMounts(
  volumesFrom: readonly string[],
  mountsOf: ContainerIdentity['mountsOf'],
): readonly ConfiguredMount[] {
  const byTarget = new Map<string, ConfiguredMount>();
  for (const {container, readOnly} of volumesFrom.map(parseVolumesFrom)) {
    for (const {writtenAs, ...mount} of mountsOf(container)) {
      if (mount.type === 'tmpfs') continue;
      const common = {...mount, inherited: true, ...(readOnly && {readOnly})} as const;
      byTarget.delete(mount.target);
      byTarget.set(mount.target, common.type === 'volume' ? {...common, nocopy: true} : common);
    }
  }
  return [...byTarget.values()];
}

/** What its types do not say of an image's config, which is foreign input. */
function checkImageConfig({reference, config}: ConfiguredImage): void {
  const refuse = (what: string): never => {
    throw new CoracleError('ERR_INVALID_IMAGE', `the image ${reference} has an invalid config: ${what}`);
  };
  for (const target of Object.keys(config.Volumes ?? {})) {
    const path = cleanPath(posix.join('/', target));
    if (path === '/') refuse(`a volume at ${JSON.stringify(target)}`);
    const refusal = refusalInProc(path);
    if (refusal !== undefined) refuse(`a volume at ${JSON.stringify(target)}: ${refusal}`);
  }
  if (!config.StopSignal) return;
  try {
    parseSignal(config.StopSignal);
  } catch {
    refuse(`unknown StopSignal ${JSON.stringify(config.StopSignal)}`);
  }
}

/** What is published is exposed as well. An image may leave the protocol out. */
function mergeExposed(
  {ports, expose}: Pick<ResolvedOptions, 'ports' | 'expose'>,
  {ExposedPorts}: ContainerDefaults,
): readonly string[] {
  const ofImage = Object.keys(ExposedPorts ?? {}).map(port => (port.includes('/') ? port : `${port}/tcp`));
  const published = ports.map(({containerPort, protocol}) => `${containerPort}/${protocol}`);
  return [...new Set([...ofImage, ...expose, ...published])];
}

function resolved<Mode extends string>(
  mode: Mode | OfContainer,
  idOf: ContainerIdentity['idOf'],
): Mode | OfContainer {
  return mode.startsWith('container:') ? `container:${idOf(nameIn(mode))}` : mode;
}

/** Of `container:NAME`. */
function nameIn(mode: string): string {
  return mode.slice('container:'.length);
}
