/** Waits until a container is ready for its work: by what it writes, by a port, or by its health check. */
import {isIP} from 'node:net';
import {CoracleError} from '../errors.js';
import type {CapturedOutput} from './captured-output.js';
import {checkInteger, checkOneOf, checkRecord, describe, invalidOption} from './check-option.js';
import type {ContainerRecord} from './container-files.js';
import {containerLogs} from './container-logs.js';
import {type ContainerState, describeExit, type Exit, type LastOutput} from './container-state.js';
import {notRunning} from './exec-failure.js';
import {probeCommand} from './healthcheck.js';
import {isListening} from './listening-ports.js';
import {formatNanoseconds, parseNanoseconds} from './nanosecond-time.js';
import {onAbort} from './on-abort.js';
import {PatternWatch} from './pattern-watch.js';
import type {LogEntry} from './read-log.js';
import type {Runtime} from './runtime.js';
import {pause, watchContainer} from './watch-container.js';

/** What a container is waited for. */
export type Readiness =
  /**
   * A line that contains this text or matches this expression, `times` times (1), in one stream or in both. What it
   * wrote in its present run counts, before the call as well, as long as it is kept.
   */
  | {
      readonly log: string | RegExp;
      readonly times?: number;
      readonly stream?: 'stdout' | 'stderr';
    }
  /** Somebody in its network accepts TCP connections there; at this address, an IP, if one is given. */
  | {readonly port: number; readonly host?: string}
  /** Its health check says so; one that becomes unhealthy is not waited for: `ERR_CONTAINER_UNHEALTHY`. */
  | {readonly healthy: true};

export interface WaitForOptions {
  /** Then `ERR_WAIT_TIMEOUT`; 0 = never. @default 60 000 */
  readonly timeoutMs?: number;
  /** Stop waiting: it rejects with `signal.reason`. */
  readonly signal?: AbortSignal;
}

/** Whom to wait for; with `here`, one that this process stays with. */
export interface Awaited {
  readonly runtime: Runtime;
  readonly id: string;
  readonly name: string;
  readonly here?: {
    readonly stdout: CapturedOutput | undefined;
    readonly stderr: CapturedOutput | undefined;
    readonly exit: Promise<Exit>;
  };
}

const DEFAULT_TIMEOUT_MS = 60_000;

/**
 * @throws CoracleError `ERR_WAIT_TIMEOUT`, `ERR_WAIT_ENDED`, `ERR_CONTAINER_UNHEALTHY`, each with `details.lastOutput`;
 * `ERR_NO_HEALTHCHECK`, `ERR_LOG_NOT_KEPT`, `ERR_CONTAINER_NOT_RUNNING`, `ERR_CONTAINER_NOT_FOUND`, `ERR_INVALID_OPTION`;
 * or the reason of the aborted `signal`
 */
export async function waitFor(
  awaited: Awaited,
  condition: Readiness,
  options: WaitForOptions = {},
): Promise<void> {
  checkCondition(condition);
  checkRecord('', options, ['timeoutMs', 'signal']);
  const {timeoutMs = DEFAULT_TIMEOUT_MS, signal} = options;
  checkInteger('timeoutMs', timeoutMs, 0, 2 ** 31 - 1);
  signal?.throwIfAborted();
  awaited.runtime.readContainer(awaited.id);
  const until = new AbortController();
  const late = new Error('late');
  const timer = timeoutMs === 0 ? undefined : setTimeout(() => until.abort(late), timeoutMs);
  const stopListening = onAbort(signal, () => until.abort(signal?.reason));
  try {
    const outcome = await whenReady(awaited, condition, until.signal);
    if (outcome !== 'ready') throw await failure(awaited, condition, outcome);
  } catch (error) {
    if (error !== late) throw error;
    throw await failure(awaited, condition, {timeoutMs});
  } finally {
    clearTimeout(timer);
    stopListening();
  }
}

function checkCondition(condition: Readiness): void {
  checkRecord('', condition, ['log', 'times', 'stream', 'port', 'host', 'healthy']);
  const kinds = ['log', 'port', 'healthy'].filter(kind => kind in condition);
  if (kinds.length !== 1) {
    throw invalidOption('condition', 'what to wait for must be one of {log}, {port} and {healthy: true}');
  }
  if ('log' in condition) {
    const {log, times = 1, stream = 'stdout', ...others} = condition;
    checkRecord('', others, []);
    if (!(log instanceof RegExp) && (typeof log !== 'string' || log === ''))
      throw invalidOption('log', `log must be a text or a regular expression, not ${describe(log)}`);
    checkInteger('times', times, 1, 2 ** 31 - 1);
    checkOneOf('stream', stream, ['stdout', 'stderr']);
  } else if ('port' in condition) {
    const {port, host, ...others} = condition;
    checkRecord('', others, []);
    checkInteger('port', port, 1, 65_535);
    if (host !== undefined && (typeof host !== 'string' || isIP(host) === 0))
      throw invalidOption('host', `host must be an IP address, not ${describe(host)}`);
  } else if (condition.healthy !== true) {
    throw invalidOption('healthy', `healthy must be true, not ${describe(condition.healthy)}`);
  }
}

type Outcome = 'ready' | 'ended' | 'unhealthy';

function whenReady(awaited: Awaited, condition: Readiness, signal: AbortSignal): Promise<Outcome> {
  if ('healthy' in condition) return whenHealthy(awaited.runtime, awaited.id, {signal, unhealthyToo: false});
  if ('port' in condition) return whenListening(awaited, condition, signal);
  const watch = new PatternWatch(condition);
  return awaited.here === undefined
    ? whenLogged(awaited, watch, signal)
    : whenWritten(awaited.here, watch, signal);
}

/** @param unhealthyToo whether one that is unhealthy is waited for: it may recover */
function whenHealthy(
  runtime: Runtime,
  id: string,
  {signal, unhealthyToo}: {readonly signal?: AbortSignal | undefined; readonly unhealthyToo: boolean},
): Promise<Outcome> {
  return watchContainer(
    runtime,
    id,
    (record, monitor): Outcome | undefined => {
      const state = upState(runtime, record);
      if (record === undefined || state === undefined) return 'ended';
      if (probeCommand(record) === undefined) throw noHealthcheck(record.name);
      const health = runtime.healthOf(record, state);
      if (health === undefined && !monitor.isThere && state.status === 'running')
        throw noHealthcheck(record.name);
      if (state.status !== 'running' || health === undefined || health.status === 'starting')
        return undefined;
      if (health.status === 'healthy') return 'ready';
      return unhealthyToo ? undefined : 'unhealthy';
    },
    signal,
  );
}

/** As podman's condition of that name: one that is unhealthy may recover. */
export async function untilHealthy(awaited: Awaited, signal: AbortSignal | undefined): Promise<undefined> {
  const outcome = await whenHealthy(awaited.runtime, awaited.id, {signal, unhealthyToo: true});
  if (outcome === 'ended') throw await failure(awaited, {healthy: true}, outcome);
}

/** Undefined for one that has ended for good. @throws `ERR_CONTAINER_NOT_RUNNING` for one that was never started */
function upState(runtime: Runtime, record: ContainerRecord | undefined): ContainerState | undefined {
  const state = record && runtime.stateOf(record);
  if (state?.status === 'created') throw notRunning(record?.id ?? '');
  return state === undefined || state.status === 'exited' || state.status === 'removing' ? undefined : state;
}

/** The kernel tells nobody of a new listener. */
async function whenListening(
  {runtime, id}: Awaited,
  {port, host}: Extract<Readiness, {port: number}>,
  signal: AbortSignal,
): Promise<Outcome> {
  for (let pauseMs = 5; ; pauseMs = Math.min(pauseMs * 2, 100)) {
    const state = upState(runtime, runtime.findContainer(id));
    if (state === undefined) return 'ended';
    if (state.status === 'running' && isListening(state.pid, port, host)) return 'ready';
    await pause(pauseMs, signal);
  }
}

/** One that is to be started again by its policy goes on where it was. */
async function whenLogged(
  {runtime, id}: Awaited,
  watch: PatternWatch,
  signal: AbortSignal,
): Promise<Outcome> {
  let since: string | undefined;
  for (;;) {
    const record = runtime.findContainer(id);
    if (record === undefined) return 'ended';
    const state = runtime.stateOf(record);
    if (state.status === 'created') throw notRunning(id);
    since ??= 'startedAt' in state ? state.startedAt : undefined;
    const log = containerLogs(runtime, record, {follow: true, signal, ...(since && {since})});
    for await (const {stream, bytes, time} of log) {
      since = formatNanoseconds(parseNanoseconds(time) + 1n);
      if (watch.sees(stream, bytes)) return 'ready';
    }
    if (upState(runtime, runtime.findContainer(id)) === undefined) return 'ended';
    await pause(50, signal);
  }
}

async function whenWritten(
  {stdout, stderr, exit}: NonNullable<Awaited['here']>,
  watch: PatternWatch,
  signal: AbortSignal,
): Promise<Outcome> {
  if (stdout === undefined && stderr === undefined) {
    throw new CoracleError('ERR_LOG_NOT_KEPT', 'nothing that the container writes comes by here', {
      hint: "Its stdout or stderr has to be 'pipe'.",
    });
  }
  const stops: (() => void)[] = [];
  try {
    return await new Promise<Outcome>((resolve, reject) => {
      stops.push(onAbort(signal, () => reject(signal.reason)));
      for (const [name, output] of Object.entries({stdout, stderr})) {
        const see = (bytes: Uint8Array) => {
          if (watch.sees(name as LogEntry['stream'], bytes)) resolve('ready');
        };
        stops.push(output?.observe(see) ?? (() => {}));
      }
      exit.then(() => resolve(watch.seesEnd() ? 'ready' : 'ended'), reject);
    });
  } finally {
    for (const stop of stops) stop();
  }
}

function noHealthcheck(name: string): CoracleError {
  return new CoracleError('ERR_NO_HEALTHCHECK', `nobody looks after the health of ${name}`, {
    hint: 'Give it a healthcheck (--health-cmd), and start it detached.',
  });
}

/** Why the waiting was in vain, with what the container wrote last. */
async function failure(
  awaited: Awaited,
  condition: Readiness,
  why: 'ended' | 'unhealthy' | {readonly timeoutMs: number},
): Promise<CoracleError> {
  const {runtime, id, name, here} = awaited;
  const record = runtime.findContainer(id);
  const state = record && runtime.stateOf(record);
  const exit =
    why !== 'ended'
      ? undefined
      : here !== undefined
        ? await here.exit
        : state && 'exit' in state
          ? state.exit
          : undefined;
  const lastOutput = here === undefined ? await lastLogged(runtime, record) : lastOf(here, exit);
  const health = record && state && runtime.healthOf(record, state);
  const details = {
    containerId: id,
    condition,
    lastOutput,
    ...(exit && {exit}),
    ...('healthy' in condition && health && {health}),
  };
  const words = lastWords(lastOutput);
  if (why === 'ended') {
    const how = exit === undefined ? 'was removed' : describeExit(exit);
    return new CoracleError('ERR_WAIT_ENDED', `${name} ${how} before ${wish(condition)}${words}`, {details});
  }
  const probe = health?.log.at(-1)?.output.trim();
  const found =
    'healthy' in condition && probe ? `; its last check said: ${JSON.stringify(probe.slice(-WORDS))}` : '';
  if (why === 'unhealthy') {
    return new CoracleError('ERR_CONTAINER_UNHEALTHY', `${name} is unhealthy${found}${words}`, {details});
  }
  return new CoracleError(
    'ERR_WAIT_TIMEOUT',
    `${name} was waited for in vain: ${why.timeoutMs} ms passed before ${wish(condition)}${found}${words}`,
    {details},
  );
}

function wish(condition: Readiness): string {
  if ('healthy' in condition) return 'it was healthy';
  if ('port' in condition) {
    const {port, host} = condition;
    return `its port ${port}${host === undefined ? '' : ` at ${host}`} accepted connections`;
  }
  const {log, times = 1} = condition;
  const text = log instanceof RegExp ? String(log) : JSON.stringify(log);
  return `it wrote ${text}${times > 1 ? ` ${times} times` : ''}`;
}

const LINES = 20;
/** Characters of it that go into a message. */
const WORDS = 200;

function lastWords({stdout, stderr}: LastOutput): string {
  const text = (stderr.trim() || stdout.trim()).slice(-WORDS);
  return text === '' ? '' : `; it wrote last: ${JSON.stringify(text)}`;
}

function lastOf({stdout, stderr}: NonNullable<Awaited['here']>, exit: Exit | undefined): LastOutput {
  if (exit !== undefined) return exit.lastOutput;
  return {
    stdout: stdout?.lastText() ?? '',
    stderr: stderr?.lastText() ?? '',
    truncated: (stdout?.droppedBytes ?? 0) + (stderr?.droppedBytes ?? 0) > 0,
  };
}

async function lastLogged(runtime: Runtime, record: ContainerRecord | undefined): Promise<LastOutput> {
  const texts = {stdout: '', stderr: ''};
  let lines = 0;
  try {
    if (record !== undefined) {
      for await (const {stream, bytes} of containerLogs(runtime, record, {tail: LINES})) {
        texts[stream] += Buffer.from(bytes).toString();
        lines++;
      }
    }
  } catch (error) {
    // It has no log, or is being removed: then there is nothing to tell.
    if (!(error instanceof CoracleError) && (error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  return {...texts, truncated: lines === LINES};
}
