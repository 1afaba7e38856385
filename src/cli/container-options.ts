import {readFile} from 'node:fs/promises';
import {resolve} from 'node:path';
import {CoracleError} from '../errors.js';
import {
  cleanPath,
  type Limits,
  type Mount,
  parseDevice,
  parseDeviceRate,
  parseDeviceWeight,
  parseDuration,
  parseEnvFile,
  parseExpose,
  parseGoDuration,
  parseMount,
  parsePublish,
  parseSize,
  parseTmpfs,
  parseUlimit,
  parseVolume,
  type RunOptions,
} from '../sdk/index.js';
import {ClientError} from './cli-error.js';
import type {Call, Context} from './command.js';
import {networksOf} from './network-flags.js';
import {openingError} from './opening-error.js';
import {parseCpus, parseInteger} from './parse-number.js';

type World = Pick<Context, 'env' | 'directory'>;

/**
 * The options that a command line of `run` or `create` stands for. Only files that it names are read.
 * @throws ClientError for what the docker client refuses by itself; CoracleError `ERR_INVALID_OPTION` for what dockerd
 * would, `ERR_UNSUPPORTED_OPTION` for what comes later
 */
export async function containerOptions(call: Call, world: World): Promise<RunOptions> {
  const [, ...command] = call.words;
  const env = await environment(call, world);
  const labels = await labelsOf(call);
  const security = await securityOptions(call.values('security-opt'));
  refuseWhatIsMissing(call);
  checkPull(call.value('pull') ?? 'missing');
  const entrypoint = call.value('entrypoint');
  const whenUnavailable = call.value('when-unavailable') as RunOptions['whenUnavailable'];
  const asWritten = writtenOf(call, security.written);
  return present<RunOptions>({
    command: command.length > 0 ? command : undefined,
    entrypoint: entrypoint === undefined ? undefined : entrypoint === '' ? [] : [entrypoint],
    env,
    workdir: call.value('workdir') || undefined,
    user: call.value('user') || undefined,
    groups: call.values('group-add'),
    hostname: call.value('hostname') || undefined,
    domainname: call.value('domainname') || undefined,
    name: call.value('name') || undefined,
    labels,
    stdin: call.has('interactive') ? 'pipe' : 'ignore',
    tty: call.has('tty') || undefined,
    attach: attachOf(call),
    asWritten: Object.keys(asWritten).length > 0 ? asWritten : undefined,
    limits: limitsOf(call),
    whenUnavailable,
    ulimits: Object.fromEntries(
      call
        .values('ulimit')
        .map(parseUlimit)
        .map(({name, limit}) => [name, limit]),
    ),
    deadlineMs: mapped(call.value('timeout'), parseDuration),
    mounts: mountsOf(call, world),
    ...listed('volumesFrom', call.values('volumes-from')),
    devices: call.values('device').map(text => asClient(() => parseDevice(text))),
    ...listed('deviceRules', call.values('device-cgroup-rule')),
    shmSizeBytes: mapped(call.value('shm-size'), parseSize) || undefined,
    readOnly: call.has('read-only'),
    capabilities: {add: call.values('cap-add'), drop: call.values('cap-drop')},
    privileged: call.has('privileged'),
    ...security.wanted,
    oomScoreAdj: mapped(call.value('oom-score-adj'), parseInteger),
    sysctls: Object.fromEntries(call.values('sysctl').map(splitPair)),
    ...networkingOf(call),
    ...namespacesOf(call),
    cgroupParent: call.value('cgroup-parent') || undefined,
    log: logOf(call),
    restart: restartOf(call),
    healthcheck: healthcheckOf(call),
    init: call.value('init') === undefined ? undefined : call.has('init'), // the configuration file may say otherwise
    stopSignal: call.value('stop-signal') || undefined,
    stopTimeoutMs: mapped(call.value('stop-timeout'), text => {
      const seconds = parseInteger(text);
      return seconds === -1 ? -1 : seconds * 1000;
    }),
    autoRemove: call.has('rm'),
    platform: call.value('platform') || undefined,
  });
}

const HEALTH_DURATIONS = {
  intervalMs: 'health-interval',
  timeoutMs: 'health-timeout',
  startPeriodMs: 'health-start-period',
  startIntervalMs: 'health-start-interval',
} as const;

/** In the words, and the order, of docker/cli: command/container/opts.go. */
function healthcheckOf(call: Call): RunOptions['healthcheck'] {
  const retries = parseInteger(call.value('health-retries') ?? '0');
  const command = call.value('health-cmd') || undefined;
  const durations = Object.entries(HEALTH_DURATIONS).map(
    ([name, flag]) => [name, flag, mapped(call.value(flag), parseGoDuration) ?? 0] as const,
  );
  const isAsked = command !== undefined || retries !== 0 || durations.some(([, , ns]) => ns !== 0);
  if (call.has('no-healthcheck')) {
    if (isAsked) throw new ClientError('--no-healthcheck conflicts with --health-* options');
    return 'none';
  }
  if (!isAsked) return undefined;
  for (const [, flag, ns] of durations) if (ns < 0) throw new ClientError(`--${flag} cannot be negative`);
  if (retries < 0) throw new ClientError('--health-retries cannot be negative');
  const times = durations.filter(([, , ns]) => ns !== 0).map(([name, , ns]) => [name, ns / 1e6]);
  return {...(command && {command}), ...(retries && {retries}), ...Object.fromEntries(times)};
}

/**
 * Files first, then flags; `KEY` alone takes the value that this process has. Without one it removes what the image says, and
 * leaves what a file says.
 */
export async function environment(call: Call, {env}: World): Promise<readonly string[]> {
  const variables: string[] = [];
  for (const path of call.values('env-file')) {
    for (const line of asClientList(await readBytes(path), path)) {
      const value = line.includes('=') ? line : ownValue(line, env);
      if (value !== undefined) variables.push(value);
    }
  }
  const ofFiles = new Set(variables.map(variable => variable.slice(0, variable.indexOf('='))));
  for (const text of call.values('env')) {
    const value = text.includes('=') ? text : ownValue(text, env);
    if (value !== undefined) variables.push(value);
    else if (!ofFiles.has(text)) variables.push(text);
  }
  return variables;
}

function ownValue(key: string, env: World['env']): string | undefined {
  return env[key] === undefined ? undefined : `${key}=${env[key]}`;
}

async function labelsOf(call: Call): Promise<Readonly<Record<string, string>>> {
  const lines: string[] = [];
  for (const path of call.values('label-file')) {
    const said = asClientList(await readBytes(path), path);
    lines.push(...said.filter(line => line.includes('='))); // no label has its value from the caller's environment
  }
  return Object.fromEntries([...lines, ...call.values('label')].map(splitPair));
}

async function readBytes(path: string): Promise<Buffer> {
  return await readFile(path).catch(cause => {
    throw openingError(path, cause);
  });
}

function asClientList(bytes: Buffer, path: string): string[] {
  return asClient(() => parseEnvFile(bytes, path));
}

export function limitsOf(call: Call): Limits {
  const number = (flag: string) => mapped(call.value(flag), parseInteger) || undefined;
  const size = (flag: string) => mapped(call.value(flag), parseSize) || undefined;
  const rates = (flag: string, unit: 'bytes' | 'operations') => {
    const texts = call.values(flag);
    return texts.length > 0 ? texts.map(text => parseDeviceRate(text, unit)) : undefined;
  };
  const swap = call.value('memory-swap');
  const weights = call.values('blkio-weight-device').map(parseDeviceWeight);
  return present<Limits>({
    memoryBytes: size('memory'),
    memorySwapBytes: swap === '-1' ? -1 : mapped(swap, parseSize) || undefined,
    memoryReservationBytes: size('memory-reservation'),
    oomKillDisable: call.has('oom-kill-disable') || undefined,
    memorySwappiness: swappiness(call.value('memory-swappiness')),
    cpus: mapped(call.value('cpus'), parseCpus) || undefined,
    cpuPeriodUs: number('cpu-period'),
    cpuQuotaUs: number('cpu-quota'),
    cpuShares: number('cpu-shares'),
    cpusetCpus: call.value('cpuset-cpus') || undefined,
    cpusetMems: call.value('cpuset-mems') || undefined,
    processes: number('pids-limit'),
    blkioWeight: number('blkio-weight'),
    blkioWeightDevice: weights.length > 0 ? weights : undefined,
    deviceReadBps: rates('device-read-bps', 'bytes'),
    deviceWriteBps: rates('device-write-bps', 'bytes'),
    deviceReadIops: rates('device-read-iops', 'operations'),
    deviceWriteIops: rates('device-write-iops', 'operations'),
  });
}

function swappiness(text: string | undefined): number | undefined {
  const value = parseInteger(text ?? '-1');
  if (value === -1) return undefined;
  if (value >= 0 && value <= 100) return value;
  throw new ClientError(`invalid value: ${value}. Valid memory swappiness range is 0-100`);
}

function mountsOf(call: Call, {directory}: World): readonly Mount[] {
  const said = [
    // The client keeps them in a map: what is said twice is said once.
    ...[...new Set(call.values('volume'))].map(text => withDriver(volume(text, directory), call)),
    ...call.values('mount').map(text => {
      const mount = parseMount(text);
      return mount.type === 'bind' ? {...mount, source: fromHere(mount.source, directory)} : mount;
    }),
    ...call.values('tmpfs').map(parseTmpfs),
  ];
  return said.filter(
    (mount, index) => !said.some((other, at) => at !== index && yieldsTo(mount, other, at > index)),
  );
}

/**
 * Of two mounts at one place dockerd leaves out an anonymous volume of `-v` for anything else, `--tmpfs` for a tmpfs of
 * `--mount`, and each of these for a later one of its kind. Others clash.
 */
function yieldsTo(mount: Mount, other: Mount, isLater: boolean): boolean {
  if (cleanPath(mount.target) !== cleanPath(other.target)) return false;
  if (isAnonymous(mount)) return isLater || !isAnonymous(other);
  if (!isOfTmpfsFlag(mount) || other.type !== 'tmpfs') return false;
  return isLater || !isOfTmpfsFlag(other);
}

function isAnonymous(mount: Mount): boolean {
  return mount.type === 'volume' && mount.name === undefined && mount.writtenAs !== undefined;
}

function isOfTmpfsFlag({type, writtenAs}: Mount): boolean {
  return type === 'tmpfs' && writtenAs !== undefined;
}

function withDriver(mount: Mount, call: Call): Mount {
  const driver = call.value('volume-driver') || undefined;
  return mount.type === 'volume' && driver !== undefined ? {...mount, driver} : mount;
}

/** `./data:/data` is a directory of the host's for the client, which resolves it. */
function volume(text: string, directory: string): Mount {
  if (text === '') throw new ClientError('invalid empty volume spec');
  const parts = text.split(':');
  if (parts.includes('') && parts.length > 1) {
    throw new ClientError(`invalid spec: ${text}: empty section between colons`);
  }
  // The client takes one letter and a colon for a drive of Windows.
  const sections = /^[a-z]:/i.test(text) ? parts.length - 1 : parts.length;
  if (sections > 3) throw new ClientError(`invalid spec: ${text}: too many colons`);
  const [source = '', ...rest] = parts;
  return parseVolume(rest.length > 0 ? [fromHere(source, directory), ...rest].join(':') : text);
}

function fromHere(path: string, directory: string): string {
  return path.startsWith('.') ? resolve(directory, path) : path;
}

/** What the other options do not tell. */
function writtenOf(call: Call, securityOptions: readonly string[]): NonNullable<RunOptions['asWritten']> {
  const driver = call.value('volume-driver') || undefined;
  const parent = call.value('cgroup-parent') || undefined;
  return {
    ...(securityOptions.length > 0 && {securityOptions}),
    ...(call.value('userns') === 'host' && {userNamespace: 'host'}),
    ...(call.value('init') !== undefined && !call.has('init') && {init: false}),
    ...(driver !== undefined && {volumeDriver: driver}),
    ...(parent?.startsWith('/') && {cgroupParent: parent}),
  };
}

const UNMASKED = 'systempaths=unconfined';

interface SecurityOptions {
  readonly wanted: Pick<RunOptions, 'seccomp' | 'noNewPrivileges' | 'systemPaths'>;
  /** As `AsWritten` has them. */
  readonly written: readonly string[];
}

async function securityOptions(options: readonly string[]): Promise<SecurityOptions> {
  const rest = options.filter(option => option !== UNMASKED); // it goes into two lists of its own
  let wanted: SecurityOptions['wanted'] = rest.length < options.length ? {systemPaths: 'unconfined'} : {};
  for (const option of rest) {
    const [, key = option, value] = /^([^=:]*)[=:](.*)$/s.exec(option) ?? [];
    if (key === 'no-new-privileges') {
      if (value !== undefined && value !== 'true' && value !== 'false') throw unknownSecurityOption(option);
      wanted = {...wanted, noNewPrivileges: value !== 'false'};
    } else if (value === undefined || (key === 'seccomp' && value === '')) {
      throw new ClientError(`Invalid --security-opt: ${JSON.stringify(option)}`);
    } else if (key === 'seccomp') wanted = {...wanted, seccomp: await seccomp(value)};
    else if (key === 'label' || (key === 'apparmor' && value === 'unconfined'))
      continue; // no SELinux, no AppArmor
    else if (key === 'apparmor') {
      throw new CoracleError(
        'ERR_UNSUPPORTED_OPTION',
        `--security-opt ${key}= is not supported by this release`,
      );
    } else throw unknownSecurityOption(option);
  }
  const written = rest.map(option => (/^seccomp=(?!unconfined$|builtin$)/.test(option) ? 'seccomp' : option));
  return {wanted, written};
}

function unknownSecurityOption(option: string): CoracleError {
  return new CoracleError('ERR_INVALID_OPTION', `invalid --security-opt 2: ${JSON.stringify(option)}`, {
    hint: 'no-new-privileges, seccomp=unconfined or seccomp=FILE',
  });
}

async function seccomp(value: string): Promise<NonNullable<RunOptions['seccomp']>> {
  if (value === 'unconfined') return 'unconfined';
  if (value === 'builtin') return 'default';
  const text = await readFile(value, 'utf8').catch(cause => {
    throw new ClientError(`opening seccomp profile (${value}) failed: ${openingError(value, cause).message}`);
  });
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new ClientError(
      `compacting json for seccomp profile (${value}) failed: ${(cause as Error).message}`,
    );
  }
}

function networkingOf(call: Call): Partial<RunOptions> {
  const ports = call.values('publish').flatMap(text => asClient(() => parsePublish(text)));
  const expose = call.values('expose').flatMap(text => asClient(() => parseExpose(text)));
  const wantsBridge =
    ports.length > 0 ||
    call.has('publish-all') ||
    call.values('link').length > 0 ||
    Boolean(call.value('mac-address'));
  return {
    ...networksOf(call, wantsBridge ? 'bridge' : 'none'),
    ...(ports.length > 0 && {ports}),
    ...(expose.length > 0 && {expose}),
    ...(call.has('publish-all') && {publishAll: true}),
    ...listed('extraHosts', call.values('add-host')),
    ...listed('links', call.values('link')),
    ...listed('dns', call.values('dns')),
    ...listed('dnsSearch', call.values('dns-search')),
    ...listed('dnsOptions', [...call.values('dns-option'), ...call.values('dns-opt')]),
  };
}

function listed<Key extends keyof RunOptions>(key: Key, values: readonly string[]): Partial<RunOptions> {
  return values.length > 0 ? {[key]: values} : {};
}

/** Words that the docker client knows; what it refuses by itself, and what it leaves to dockerd. */
function namespacesOf(call: Call): Pick<RunOptions, 'pid' | 'ipc' | 'uts'> {
  const [pid, ipc, uts, userns] = ['pid', 'ipc', 'uts', 'userns'].map(flag => call.value(flag) || undefined);
  if (pid !== undefined && !/^(host|container:.+)$/.test(pid))
    throw new ClientError('--pid: invalid PID mode');
  if (uts !== undefined && uts !== 'host') throw new ClientError('--uts: invalid UTS mode');
  if (userns !== undefined && userns !== 'host') {
    if (userns !== 'private') throw new ClientError('--userns: invalid USER mode');
    throw new CoracleError('ERR_UNSUPPORTED_OPTION', '--userns private is not supported by this release', {
      hint: 'The SDK takes maps of ids: userNamespace.',
    });
  }
  if (ipc !== undefined && !/^(private|shareable|none|host|container:.+)$/.test(ipc))
    throw new CoracleError('ERR_INVALID_OPTION', `Invalid IPC mode: ${ipc}`);
  return present<Pick<RunOptions, 'pid' | 'ipc' | 'uts'>>({
    pid: pid as RunOptions['pid'],
    ipc: ipc as RunOptions['ipc'],
    uts,
  });
}

/** What `--storage-opt` and `--gpus` would need, in Docker's words where it has some. */
function refuseWhatIsMissing(call: Call): void {
  for (const option of call.values('storage-opt')) {
    if (!option.startsWith('size=')) {
      throw new CoracleError('ERR_INVALID_OPTION', `Unknown option ${option.split('=')[0]}`);
    }
    throw new CoracleError(
      'ERR_LIMIT_UNSUPPORTED',
      "--storage-opt is supported only for overlay over xfs with 'pquota' mount option",
      {
        hint: 'This release sets no quotas. A writable place of limited size: --read-only --tmpfs /data:size=1g',
        details: {option: 'storage-opt'},
      },
    );
  }
  if (call.value('gpus') !== undefined) {
    throw new CoracleError(
      'ERR_UNSUPPORTED_OPTION',
      'could not select device driver "" with capabilities: [[gpu]]: no GPU vendor\'s container toolkit is supported',
      {
        hint: "Name the devices and the driver's libraries: --device /dev/dri, or --device /dev/nvidia0 with binds",
        details: {option: 'gpus'},
      },
    );
  }
}

/** dockerd's client: nothing with --detach; with --interactive stdin; all outputs unless some are named. */
function attachOf(call: Call): RunOptions['attach'] {
  const named = call.values('attach').map(name => name.toLowerCase());
  for (const name of named) {
    if (!['stdin', 'stdout', 'stderr'].includes(name)) {
      throw new ClientError(
        `invalid argument "${name}" for "-a, --attach" flag: valid streams are STDIN, STDOUT and STDERR`,
      );
    }
  }
  if (call.has('detach') && named.length > 0) {
    throw new ClientError('conflicting options: cannot specify both --attach and --detach');
  }
  if (call.has('detach')) return [];
  if (named.length === 0) return undefined;
  const streams = call.has('interactive') ? [...new Set(['stdin', ...named])] : named;
  return streams as NonNullable<RunOptions['attach']>;
}

function logOf(call: Call): RunOptions['log'] {
  const driver = call.value('log-driver') || undefined;
  const options = call.values('log-opt');
  if (driver === 'none' && options.length > 0) throw new ClientError('invalid logging opts for driver none');
  if (driver === undefined && options.length === 0) return undefined;
  return {
    driver: (driver ?? 'json-file') as NonNullable<RunOptions['log']>['driver'],
    options: Object.fromEntries(options.map(splitPair)),
  };
}

/** `on-failure:3`. */
export function restartOf(call: Call): RunOptions['restart'] {
  const text = call.value('restart') ?? '';
  if (text === '') return undefined;
  const [name = '', count = ''] = text.split(/:(.*)/s);
  if (name === '') throw new ClientError('invalid restart policy format: no policy provided before colon');
  if (count !== '' && !/^[+-]?\d+$/.test(count)) {
    throw new ClientError('invalid restart policy format: maximum retry count must be an integer');
  }
  if (call.has('rm') && name !== 'no') {
    throw new ClientError('conflicting options: cannot specify both --restart and --rm');
  }
  return {
    name: name as NonNullable<RunOptions['restart']>['name'],
    ...(count !== '' && {maximumRetries: Number(count)}),
  };
}

function checkPull(policy: string): void {
  if (['missing', 'always', 'never'].includes(policy)) return;
  throw new ClientError(`invalid pull option: '${policy}': must be one of "always", "missing" or "never"`);
}

/** The same refusal, as Docker's client raises it. */
function asClient<T>(parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof CoracleError)) throw error;
    throw new ClientError(error.message, error.hint, error);
  }
}

function splitPair(text: string): [string, string] {
  const equals = text.indexOf('=');
  return equals < 0 ? [text, ''] : [text.slice(0, equals), text.slice(equals + 1)];
}

function mapped<T>(text: string | undefined, read: (text: string) => T): T | undefined {
  return text === undefined ? undefined : read(text);
}

/** Without the fields that were not said. */
function present<T extends object>(fields: {[Name in keyof T]: T[Name] | undefined}): T {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as T;
}
