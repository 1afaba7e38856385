/** What a schedule is: a configuration file's jobs, and those that labels of containers ask for. Pure. */
import {CoracleError} from '../../../errors.js';
import type {Limits} from '../../../sdk/index.js';
import type {QuietOptions} from '../../quiesce/index.js';
import type {BackupSet} from '../backup-set.js';
import type {CheckOptions} from '../check-application.js';
import {checkKeepRules, type KeepRules} from '../keep-rules.js';
import {type KeySource, kindOf} from '../open-repository.js';
import {checkCron} from './cron.js';

/** How one volume set is saved again and again. */
export interface Job extends BackupSet, Omit<QuietOptions, 'signal'> {
  readonly name: string;
  /** Five fields as crontab(5) has them, six with seconds before, or `@daily` and the like. */
  readonly schedule: string;
  /** Of the schedule: `Europe/Berlin`. @default this host's */
  readonly timezone?: string;
  readonly repository: string;
  /** Never a secret itself. */
  readonly key?: KeySource;
  readonly tags?: readonly string[];
  /** Of the sidecars. */
  readonly limits?: Limits;
  /** Afterwards, of this host's snapshots of the same volumes. @default nothing is forgotten */
  readonly keep?: KeepRules;
  /** What no snapshot needs goes as well. @default true with `keep` */
  readonly prune?: boolean;
  readonly drill?: CheckOptions;
  /** This share of the repository is read again after each run: 0.05. @default 0 */
  readonly verifyShare?: number;
  readonly onSuccess?: Notice;
  /** Of everything but success, warnings included. */
  readonly onFailure?: Notice;
}

/** Who is told of a run. It gets the run's result as JSON. */
export interface Notice {
  /** Program and arguments; the result comes on its stdin. */
  readonly command?: readonly string[];
  readonly webhook?: Webhook;
  /** For each attempt. @default 10 000 */
  readonly timeoutMs?: number;
}

/** A URL is a secret where it holds a token: say where it is instead of what it is. */
export type Webhook =
  | {readonly url: string; readonly authorizationFile?: string}
  | {readonly urlFile: string; readonly authorizationFile?: string};

/** What holds for containers with the label `coracle.backup.schedule`, where their labels say nothing. */
export type ContainerDefaults = Partial<
  Omit<Job, 'name' | 'schedule' | 'volumes' | 'volumesFrom' | 'labels'>
>;

export interface ScheduleConfig {
  readonly jobs: readonly Job[];
  /** Undefined: labels of containers are not looked at. */
  readonly containers?: ContainerDefaults;
  /** Jobs that run at once. @default 1 */
  readonly parallel: number;
}

/** @param text JSON: `{"timezone", "parallel", "containers": {…}, "jobs": {"nightly": {…}}}` @throws `ERR_SCHEDULE_INVALID` */
export function parseScheduleConfig(text: string): ScheduleConfig {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch (cause) {
    throw invalid(`it is no JSON: ${(cause as Error).message}`);
  }
  const {jobs = {}, containers, parallel = 1, timezone, ...others} = objectOf(document, 'it');
  refuseUnknown(others, 'it');
  if (!Number.isSafeInteger(parallel) || (parallel as number) < 1 || (parallel as number) > 64)
    throw invalid(`parallel must be 1 to 64, not ${JSON.stringify(parallel)}`);
  const common = timezone === undefined ? {} : {timezone};
  const parsed = Object.entries(objectOf(jobs, 'jobs')).map(([name, job]) =>
    parseJob(name, {...common, ...objectOf(job, `job ${name}`)}),
  );
  const defaults =
    containers === undefined || containers === false
      ? undefined
      : {...common, ...objectOf(containers === true ? {} : containers, 'containers')};
  if (defaults !== undefined) checkFields('containers', defaults);
  if (parsed.length === 0 && defaults === undefined) throw invalid('it has neither jobs nor containers');
  return {
    jobs: parsed,
    ...(defaults && {containers: defaults as ContainerDefaults}),
    parallel: parallel as number,
  };
}

/** @throws `ERR_SCHEDULE_INVALID` */
export function parseJob(name: string, fields: Readonly<Record<string, unknown>>): Job {
  const what = `job ${name}`;
  if (!/^[\w.:/-]{1,128}$/.test(name))
    throw invalid(`${JSON.stringify(name)} is no name of a job: letters, digits and _.:/-`);
  checkFields(what, fields);
  for (const field of ['schedule', 'repository'])
    if (typeof fields[field] !== 'string') throw invalid(`${what} has no ${field}`);
  const sets = ['volumes', 'volumesFrom', 'labels', 'dumps'].map(
    field => fields[field] as unknown[] | undefined,
  );
  if (!sets.some(list => list !== undefined && list.length > 0))
    throw invalid(`${what} names nothing to save: volumes, volumesFrom, labels or dumps`);
  return {...fields, name} as unknown as Job;
}

type Check = (value: unknown, what: string) => void;

const isString: Check = (value, what) => {
  if (typeof value !== 'string' || value === '') throw invalid(`${what} must be a text`);
};
const isBoolean: Check = (value, what) => {
  if (typeof value !== 'boolean') throw invalid(`${what} must be true or false`);
};
const isTime: Check = (value, what) => {
  if (!(Number.isSafeInteger(value) && (value as number) >= -1))
    throw invalid(`${what} must be a number of milliseconds`);
};
const isList: Check = (value, what) => {
  if (!Array.isArray(value) || value.some(each => typeof each !== 'string'))
    throw invalid(`${what} must be a list of texts`);
};
const isCommand: Check = (value, what) => {
  if (typeof value === 'string' && value !== '') return;
  isList(value, what);
  if ((value as unknown[]).length === 0) throw invalid(`${what} is empty`);
};

const DUMP_FIELDS: Readonly<Record<string, Check>> = {
  name: isString,
  image: isString,
  command: isCommand,
  container: isString,
  links: isList,
  network: isString,
  user: isString,
  env: (value, what) => void objectOf(value, what),
};

const isNumber: Check = (value, what) => {
  if (typeof value !== 'number') throw invalid(`${what} must be a number`);
};

/** What they may be the runtime says. */
const LIMIT_FIELDS: Readonly<Record<string, Check>> = {
  memoryBytes: isNumber,
  memorySwapBytes: isNumber,
  memoryReservationBytes: isNumber,
  cpus: isNumber,
  cpuPeriodUs: isNumber,
  cpuQuotaUs: isNumber,
  cpuShares: isNumber,
  cpusetCpus: isString,
  cpusetMems: isString,
  processes: isNumber,
  blkioWeight: isNumber,
  deviceReadBps: isRates,
  deviceWriteBps: isRates,
  deviceReadIops: isRates,
  deviceWriteIops: isRates,
};

function isRates(value: unknown, what: string): void {
  if (!Array.isArray(value)) throw invalid(`${what} must be a list of {"path", "rate"}`);
  for (const each of value) checkWith({path: isString, rate: isNumber}, objectOf(each, what), what);
}

const JOB_FIELDS: Readonly<Record<string, Check>> = {
  schedule: isString,
  timezone: isString,
  volumes: isList,
  volumesFrom: isList,
  labels: isList,
  dumps: (value, what) => {
    if (!Array.isArray(value)) throw invalid(`${what} must be a list`);
    for (const dump of value) {
      const fields = objectOf(dump, what);
      checkWith(DUMP_FIELDS, fields, what);
      for (const field of ['name', 'image', 'command'])
        if (fields[field] === undefined) throw invalid(`${what}: a dump has no ${field}`);
    }
  },
  repository: (value, what) => {
    isString(value, what);
    guarded(what, () => kindOf(value as string));
  },
  key: (value, what) => {
    const {file, command, environment, ...others} = objectOf(value, what);
    refuseUnknown(others, what);
    if ([file, command, environment].filter(each => each !== undefined).length !== 1)
      throw invalid(`${what} must have one of file, command and environment`);
    if (command === undefined) isString(file ?? environment, what);
    else isList(command, what);
  },
  limits: (value, what) => checkWith(LIMIT_FIELDS, objectOf(value, what), what),
  tags: isList,
  consistency: isString,
  fallback: isString,
  pauseLimitMs: isTime,
  before: isCommand,
  after: isCommand,
  hookTimeoutMs: isTime,
  stopTimeoutMs: isTime,
  keep: (value, what) => guarded(what, () => checkKeepRules(objectOf(value, what) as KeepRules)),
  prune: isBoolean,
  verifyShare: (value, what) => {
    if (!(typeof value === 'number' && value >= 0 && value <= 1)) throw invalid(`${what} must be 0 to 1`);
  },
  drill: (value, what) => {
    const checks: Readonly<Record<string, Check>> = {
      check: isCommand,
      checkAlone: isBoolean,
      image: isString,
      command: isList,
      env: (each, name) => void objectOf(each, name),
      network: isString,
      targets: (each, name) => void objectOf(each, name),
      timeoutMs: isTime,
    };
    checkWith(checks, objectOf(value, what), what);
  },
  onSuccess: isNotice,
  onFailure: isNotice,
};

function isNotice(value: unknown, what: string): void {
  const checks: Readonly<Record<string, Check>> = {
    command: isList,
    timeoutMs: isTime,
    webhook: (each, name) => {
      const {url, urlFile, authorizationFile, ...others} = objectOf(each, name);
      refuseUnknown(others, name);
      if ((url === undefined) === (urlFile === undefined)) throw invalid(`${name} must have url or urlFile`);
      isString(url ?? urlFile, name);
      if (url !== undefined && !/^https?:\/\//.test(url as string))
        throw invalid(`${name}: url must begin with http:// or https://`);
      if (authorizationFile !== undefined) isString(authorizationFile, name);
    },
  };
  checkWith(checks, objectOf(value, what), what);
}

function checkFields(what: string, fields: Readonly<Record<string, unknown>>): void {
  checkWith(JOB_FIELDS, fields, what);
  const {schedule, timezone} = fields as Partial<Job>;
  guarded(what, () => checkCron(schedule ?? '@daily', timezone));
}

function checkWith(
  checks: Readonly<Record<string, Check>>,
  fields: Readonly<Record<string, unknown>>,
  what: string,
): void {
  for (const [name, value] of Object.entries(fields)) {
    if (!Object.hasOwn(checks, name))
      throw invalid(
        `${what} has an unknown key ${JSON.stringify(name)}; known: ${Object.keys(checks).join(', ')}`,
      );
    checks[name]!(value, `${what}: ${name}`);
  }
}

function refuseUnknown(others: object, what: string): void {
  const [name] = Object.keys(others);
  if (name !== undefined) throw invalid(`${what} has an unknown key ${JSON.stringify(name)}`);
}

function objectOf(value: unknown, what: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw invalid(`${what} must be an object`);
  return value as Record<string, unknown>;
}

function guarded(what: string, check: () => void): void {
  try {
    check();
  } catch (error) {
    throw invalid(`${what}: ${(error as Error).message}`);
  }
}

export function invalid(message: string): CoracleError {
  return new CoracleError('ERR_SCHEDULE_INVALID', `the schedule cannot be used: ${message}`, {
    hint: 'docs/backup.md, "A schedule", has all keys.',
  });
}
