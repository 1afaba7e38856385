import {isIP} from 'node:net';
import {cleanCgroupPath} from './cgroup-path.js';
import {checkLimits} from './check-limits.js';
import {GREATEST_ID, normalizeDevices, normalizeMounts} from './check-mounts.js';
import {
  checkBoolean,
  checkInteger,
  checkObject,
  checkOneOf,
  checkRecord,
  checkString,
  checkStringRecord,
  checkStrings,
  describe,
  invalidOption,
} from './check-option.js';
import {envKey} from './env-key.js';
import {checkHealthcheck} from './healthcheck.js';
import {parseLink} from './links.js';
import {checkLog} from './log-config.js';
import {checkNameServer, checkSearchDomain, parseExtraHost} from './name-resolution.js';
import {nearestName} from './nearest-name.js';
import {checkNetworkMode, checkNetworks} from './normalize-networks.js';
import {parseDeviceRule} from './parse-device-rule.js';
import {parseExpose} from './parse-port.js';
import {parseSignal} from './parse-signal.js';
import {parseVolumesFrom} from './parse-volumes-from.js';
import type {
  AsWritten,
  Device,
  IdRange,
  Mount,
  RestartPolicy,
  RunOptions,
  Ulimit,
  UserNamespaceMap,
} from './run-options.js';
import {ULIMIT_NAMES} from './run-options.js';

/** setTimeout's and the launcher's greatest delay: 24 days. */
const GREATEST_DELAY_MS = 2 ** 31 - 1;
const HOST_NAME_BYTES = 64; // HOST_NAME_MAX, sethostname(2)

/**
 * What each option may be on its own. An option that is missing here does not compile, and a key that is not here is
 * refused with the nearest name.
 */
export const RUN_OPTION_CHECKS = {
  command: checkStrings,
  entrypoint: checkStrings,
  env: checkEnv,
  workdir: checkWorkdir,
  user: checkUser,
  groups: (option, value) => {
    checkStrings(option, value);
    for (const group of value) checkId(option, group, group);
  },
  hostname: checkHostName,
  domainname: checkHostName,
  name: checkName,
  labels: checkStringRecord,
  stdin: checkStdin,
  stdout: checkOutput,
  stderr: checkOutput,
  tty: checkBoolean,
  terminalSize: (option, value) => {
    checkRecord(option, value, ['rows', 'columns']);
    const {rows, columns} = value as {rows: unknown; columns: unknown};
    checkInteger(`${option}.rows`, rows, 0, 65_535);
    checkInteger(`${option}.columns`, columns, 0, 65_535);
  },
  attach: (option, value) => {
    checkStrings(option, value);
    for (const stream of value) checkOneOf(option, stream, ['stdin', 'stdout', 'stderr']);
  },
  asWritten: (option, value) => {
    const {securityOptions, userNamespace, init, volumeDriver, cgroupParent} = value as AsWritten;
    checkRecord(option, value, ['securityOptions', 'userNamespace', 'init', 'volumeDriver', 'cgroupParent']);
    if (securityOptions !== undefined) checkStrings(`${option}.securityOptions`, securityOptions);
    if (userNamespace !== undefined) checkOneOf(`${option}.userNamespace`, userNamespace, ['host']);
    if (init !== undefined) checkBoolean(`${option}.init`, init);
    if (volumeDriver !== undefined) checkString(`${option}.volumeDriver`, volumeDriver);
    if (cgroupParent !== undefined) checkString(`${option}.cgroupParent`, cgroupParent);
  },
  outputLimitBytes: (option, value) => checkInteger(option, value, 0, 2 ** 30),
  limits: checkLimits,
  whenUnavailable: (option, value) => checkOneOf(option, value, ['error', 'warn']),
  ulimits: checkUlimits,
  deadlineMs: (option, value) => checkInteger(option, value, 1, GREATEST_DELAY_MS),
  startDeadlineMs: (option, value) => checkInteger(option, value, 1, GREATEST_DELAY_MS),
  mounts: (_, value) => void normalizeMounts(value as readonly Mount[]),
  volumesFrom: (option, value) => {
    checkStrings(option, value);
    for (const text of value) parseVolumesFrom(text);
  },
  devices: (_, value) => void normalizeDevices(value as readonly Device[]),
  deviceRules: (option, value) => {
    checkStrings(option, value);
    for (const text of value) parseDeviceRule(text);
  },
  shmSizeBytes: (option, value) => {
    if (typeof value === 'number' && value < 0)
      throw invalidOption(option, 'SHM size can not be less than 0');
    checkInteger(option, value, 1, Number.MAX_SAFE_INTEGER);
  },
  readOnly: checkBoolean,
  capabilities: checkCapabilities,
  privileged: checkBoolean,
  seccomp: checkSeccomp,
  systemPaths: (option, value) => checkOneOf(option, value, ['default', 'unconfined']),
  noNewPrivileges: checkBoolean,
  userNamespace: checkUserNamespace,
  oomScoreAdj: (option, value) => {
    if (typeof value === 'number' && (value < -1000 || value > 1000)) {
      throw invalidOption(option, `Invalid value ${value}, range for oom score adj is [-1000, 1000]`);
    }
    checkInteger(option, value, -1000, 1000);
  },
  sysctls: checkStringRecord,
  network: checkNetworkMode,
  networks: checkNetworks,
  ports: checkPorts,
  expose: (option, value) => {
    checkStrings(option, value);
    for (const text of value) parseExpose(text);
  },
  publishAll: checkBoolean,
  extraHosts: (option, value) => {
    checkStrings(option, value);
    for (const text of value) parseExtraHost(text);
  },
  links: (option, value) => {
    checkStrings(option, value);
    for (const link of value as readonly string[]) parseLink(link);
  },
  dns: (option, value) => {
    checkStrings(option, value);
    for (const text of value) checkNameServer(text);
  },
  dnsSearch: (option, value) => {
    checkStrings(option, value);
    for (const text of value) checkSearchDomain(text);
  },
  dnsOptions: (option, value) => {
    checkStrings(option, value);
    for (const text of value) if (/\s/.test(text)) throw invalidOption(option, `invalid DNS option: ${text}`);
  },
  pid: (option, value) => checkNamespace(option, value, ['private', 'host'], true),
  ipc: (option, value) => checkNamespace(option, value, ['private', 'shareable', 'none', 'host'], true),
  uts: (option, value) => checkNamespace(option, value, ['private', 'host'], false),
  cgroupParent: (option, value) => {
    checkString(option, value);
    cleanCgroupPath(value);
  },
  log: checkLog,
  restart: checkRestart,
  healthcheck: checkHealthcheck,
  init: checkBoolean,
  stopSignal: (option, value) => {
    checkString(option, value);
    parseSignal(value);
  },
  stopTimeoutMs: (option, value) => checkInteger(option, value, -1, GREATEST_DELAY_MS),
  autoRemove: checkBoolean,
  platform: checkPlatform,
  pull: (option, value) => checkOneOf(option, value, ['missing', 'always', 'never']),
  signal: (option, value) => {
    if (!(value instanceof AbortSignal)) throw invalidOption(option, `${option} must be an AbortSignal`);
  },
} satisfies Record<keyof RunOptions, (option: string, value: unknown) => void>;

/** Each option on its own: unknown keys, types, ranges. @throws CoracleError `ERR_INVALID_OPTION` */
export function checkRunOptions(options: RunOptions): void {
  checkRecord('', options, Object.keys(RUN_OPTION_CHECKS));
  for (const [name, check] of Object.entries(RUN_OPTION_CHECKS)) {
    const value = options[name as keyof RunOptions];
    if (value !== undefined) check(name, value);
  }
}

function checkEnv(option: string, value: unknown): void {
  if (Array.isArray(value)) {
    checkStrings(option, value);
    for (const item of value) checkEnvKey(option, envKey(item));
    return;
  }
  checkObject(option, value);
  for (const [key, text] of Object.entries(value)) {
    checkEnvKey(option, key);
    if (text !== null) checkString(`${option}.${key}`, text);
  }
}

function checkEnvKey(option: string, key: string): void {
  checkString(option, key);
  if (key === '' || key.includes('=')) {
    throw invalidOption(
      option,
      `invalid environment variable: ${JSON.stringify(key)}`,
      'A name without "=", then "=" and the value.',
    );
  }
}

function checkWorkdir(option: string, value: unknown): void {
  checkString(option, value);
  if (!value.startsWith('/')) {
    throw invalidOption(
      option,
      `the working directory '${value}' is invalid, it needs to be an absolute path`,
    );
  }
}

function checkUser(option: string, value: unknown): void {
  checkString(option, value);
  // What follows a second colon means nothing to Docker.
  for (const part of value.split(':').slice(0, 2)) checkId(option, part, value);
}

/** A number must fit what the kernel takes; CVE-2024-40635 was an overflow that ended as root. */
function checkId(option: string, part: string, whole: string): void {
  if (/^[+-]?\d+$/.test(part) && !(Number(part) >= 0 && Number(part) <= GREATEST_ID)) {
    throw invalidOption(option, `uids and gids must be in range 0-${GREATEST_ID}`, `Not ${whole}.`);
  }
}

function checkHostName(option: string, value: unknown): void {
  checkString(option, value);
  if (Buffer.byteLength(value) > HOST_NAME_BYTES || /[\s/]/.test(value)) {
    throw invalidOption(
      option,
      `invalid ${option} format: ${value}`,
      'At most 64 bytes, without spaces and slashes.',
    );
  }
}

function checkName(option: string, value: unknown): void {
  checkString(option, value);
  if (!/^\/?[a-zA-Z0-9][a-zA-Z0-9_.-]+$/.test(value)) {
    throw invalidOption(
      option,
      `Invalid container name (${value}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`,
    );
  }
}

function checkStdin(option: string, value: unknown): void {
  if (value === 'ignore' || value === 'pipe' || value === 'inherit' || value instanceof Uint8Array) return;
  if (typeof value === 'object' && value !== null) {
    if (Symbol.asyncIterator in value) return;
    if ('text' in value && typeof value.text === 'string') return;
  }
  throw invalidOption(
    option,
    `${option} must be 'ignore', 'pipe', 'inherit', a Uint8Array, {text} or an async iterable, not ${describe(value)}`,
  );
}

function checkOutput(option: string, value: unknown): void {
  checkOneOf(option, value, ['pipe', 'inherit', 'ignore']);
}

function checkNamespace(option: string, value: unknown, words: readonly string[], joins: boolean): void {
  if (typeof value === 'string' && (words.includes(value) || (joins && /^container:./.test(value)))) return;
  const choices = joins ? [...words, 'container:NAME'] : words;
  throw invalidOption(
    option,
    `${option} must be ${choices.map(word => `'${word}'`).join(', ')}, not ${describe(value)}`,
  );
}

/** dockerd's words: moby, container.ValidateRestartPolicy */
export function checkRestart(option: string, value: unknown): void {
  checkRecord(option, value, ['name', 'maximumRetries']);
  const {name, maximumRetries = 0} = value as Partial<RestartPolicy>;
  if (!['no', 'on-failure', 'always', 'unless-stopped'].includes(name ?? '')) {
    throw invalidOption(option, `invalid restart policy '${name}'`);
  }
  if (name !== 'on-failure' && maximumRetries !== 0) {
    throw invalidOption(option, `maximum retry count cannot be used with restart policy '${name}'`);
  }
  if (maximumRetries < 0) throw invalidOption(option, 'maximum retry count cannot be negative');
  checkInteger(`${option}.maximumRetries`, maximumRetries, 0, 2 ** 31 - 1);
}

function checkUlimits(option: string, value: unknown): void {
  checkObject(option, value);
  for (const [name, limit] of Object.entries(value)) {
    if (!(ULIMIT_NAMES as readonly string[]).includes(name)) {
      const meant = nearestName(name, ULIMIT_NAMES);
      throw invalidOption(
        `${option}.${name}`,
        `invalid ulimit type: ${name}`,
        meant && `Did you mean ${meant}?`,
      );
    }
    if (limit === undefined) continue;
    const pair = typeof limit === 'number' ? {soft: limit, hard: limit} : limit;
    checkRecord(`${option}.${name}`, pair, ['soft', 'hard']);
    const {soft, hard} = pair as Ulimit;
    checkInteger(`${option}.${name}.soft`, soft, -1, Number.MAX_SAFE_INTEGER);
    checkInteger(`${option}.${name}.hard`, hard, -1, Number.MAX_SAFE_INTEGER);
    if (hard !== -1 && (soft === -1 || soft > hard)) {
      throw invalidOption(
        `${option}.${name}`,
        `ulimit soft limit must be less than or equal to hard limit: ${soft === -1 ? `soft: -1 (unlimited), hard: ${hard}` : `${soft} > ${hard}`}`,
      );
    }
  }
}

function checkCapabilities(option: string, value: unknown): void {
  checkRecord(option, value, ['add', 'drop']);
  const {add = [], drop = []} = value as {add?: unknown; drop?: unknown};
  checkStrings(`${option}.add`, add);
  checkStrings(`${option}.drop`, drop);
}

function checkSeccomp(option: string, value: unknown): void {
  if (value === 'default' || value === 'unconfined') return;
  if (typeof value === 'object' && value !== null) {
    if ('defaultAction' in value) {
      checkString(`${option}.defaultAction`, value.defaultAction);
      return;
    }
    if ('path' in value) {
      checkRecord(option, value, ['path']);
      checkString(`${option}.path`, value.path);
      return;
    }
  }
  throw invalidOption(
    option,
    `${option} must be 'default', 'unconfined', {path} or a profile in Docker's JSON format, not ${describe(value)}`,
  );
}

function checkUserNamespace(option: string, value: unknown): void {
  if (value === 'host') return;
  checkRecord(option, value, ['uids', 'gids']);
  for (const kind of ['uids', 'gids'] as const) {
    const ranges = (value as Partial<UserNamespaceMap>)[kind];
    if (!Array.isArray(ranges) || ranges.length === 0) {
      throw invalidOption(
        `${option}.${kind}`,
        `${option}.${kind} must be an array of at least one {inside, outside, count}`,
      );
    }
    ranges.forEach((range: IdRange, index) => {
      const path = `${option}.${kind}[${index}]`;
      checkRecord(path, range, ['inside', 'outside', 'count'] satisfies (keyof IdRange)[]);
      checkInteger(`${path}.inside`, range.inside, 0, GREATEST_ID);
      checkInteger(`${path}.outside`, range.outside, 0, GREATEST_ID);
      checkInteger(`${path}.count`, range.count, 1, GREATEST_ID + 1);
    });
  }
}

function checkPlatform(option: string, value: unknown): void {
  checkString(option, value);
  if (!/^[a-z0-9_]+(\/[a-z0-9_]+){0,2}$/i.test(value)) {
    throw invalidOption(
      option,
      `${option} must be os/architecture[/variant] such as 'linux/arm64', not ${describe(value)}`,
    );
  }
}

function checkPorts(option: string, value: unknown): void {
  if (!Array.isArray(value)) throw invalidOption(option, `${option} must be a list, not ${describe(value)}`);
  for (const [index, port] of value.entries()) {
    const at = `${option}[${index}]`;
    checkRecord(at, port, ['containerPort', 'protocol', 'hostPort', 'hostPortEnd', 'hostAddress']);
    const {containerPort, protocol, hostPort, hostPortEnd, hostAddress} = port as Record<string, unknown>;
    checkInteger(`${at}.containerPort`, containerPort, 0, 65_535);
    if (protocol !== undefined) checkOneOf(`${at}.protocol`, protocol, ['tcp', 'udp', 'sctp']);
    if (hostPort !== undefined) checkInteger(`${at}.hostPort`, hostPort, 0, 65_535);
    if (hostPortEnd !== undefined)
      checkInteger(`${at}.hostPortEnd`, hostPortEnd, Number(hostPort ?? 0), 65_535);
    if (hostAddress === undefined) continue;
    checkString(`${at}.hostAddress`, hostAddress);
    if (isIP(hostAddress) === 0)
      throw invalidOption(`${at}.hostAddress`, `invalid IP address: ${hostAddress}`);
  }
}
