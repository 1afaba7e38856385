/**
 * From options to a process, for a container that lives as long as its run: described anew or like a recent one, started
 * on demand or in surroundings that wait.
 */
import {rmSync} from 'node:fs';
import {type Connection, connectNetwork, ofEndpoint, releaseAll} from './connect-network.js';
import {connects} from './connects.js';
import type {CallOptions} from './container.js';
import type {ContainerConfig} from './container-config.js';
import {publishExpected, publishRecord, sharedText} from './container-files.js';
import {type ExplainedStep, explainPlan} from './explain-plan.js';
import {formatNanoseconds, nowNanoseconds} from './nanosecond-time.js';
import {type NormalizedOptions, normalizeRunOptions} from './normalize-run-options.js';
import {surroundingsText} from './plan-template.js';
import {type PlannedStart, planRest, planTransientStart, type StartSubject} from './plan-transient-start.js';
import {type WaitingStart, withIdentity} from './pool.js';
import {randomName} from './random-name.js';
import {ownCopy, type RecentStart} from './recent-starts.js';
import type {RunOptions, StdinSource} from './run-options.js';
import {Runtime} from './runtime.js';
import {isLauncherLoss, type StartedProcess, startProcess} from './start-process.js';
import {claimVolumes} from './use-volumes.js';

export interface RunRequest {
  readonly runtime: Runtime;
  readonly normalized: NormalizedOptions;
  /** Undefined for a container that is to stay. */
  readonly subject: StartSubject | undefined;
  /** The subject is that of an earlier start: only who it is has to change. */
  readonly again: boolean;
}

/** @throws as `Container.run`, before anything is made but the volumes */
export async function describeRun(
  image: string,
  options: RunOptions,
  call: CallOptions,
): Promise<RunRequest> {
  const opened = call.runtime ?? Runtime.opened;
  const recent = opened && recentStart(opened, image, options, call);
  if (opened !== undefined && recent !== undefined) return {runtime: opened, ...recent, again: true};
  const normalized = normalizeRunOptions(options, call.door, 'run', Runtime.configurationOf(call.runtime));
  const runtime = opened ?? (await Runtime.default());
  normalized.signal?.throwIfAborted();
  const subject = normalized.autoRemove
    ? await describeNew(runtime, image, options, call, normalized)
    : undefined;
  return {runtime, normalized, subject, again: false};
}

function recentStart(
  runtime: Runtime,
  image: string,
  options: RunOptions,
  {door = 'sdk'}: CallOptions,
): RecentStart | undefined {
  const {signal} = options;
  const recent = runtime.recent.find(image, options, door);
  if (recent === undefined || !(signal === undefined || signal instanceof AbortSignal)) return undefined;
  signal?.throwIfAborted();
  if (runtime.store.findImage(image) !== recent.subject.stored) {
    runtime.recent.forget(recent);
    return undefined;
  }
  return signal === undefined ? recent : {...recent, normalized: {...recent.normalized, signal}};
}

async function describeNew(
  runtime: Runtime,
  image: string,
  options: RunOptions,
  {door = 'sdk'}: CallOptions,
  normalized: NormalizedOptions,
): Promise<StartSubject> {
  const own = ownCopy(options);
  if (own === undefined) return subjectOf(await runtime.describeContainer(image, normalized));
  const ownNormalized = normalizeRunOptions(own, door, 'run', Runtime.configurationOf(runtime));
  const subject = subjectOf(await runtime.describeContainer(image, ownNormalized));
  const {mounts, networks, links} = subject.config;
  // A network may be another one of its name by then, and so may a container.
  if (networks === undefined && links === undefined && mounts.every(({type}) => type === 'tmpfs')) {
    runtime.recent.add(own, {reference: image, door, normalized: ownNormalized, subject});
  }
  return subject;
}

export function subjectOf({config, stored}: Pick<StartSubject, 'config' | 'stored'>): StartSubject {
  return {config, stored, shared: sharedText(config), surroundings: surroundingsText(config)};
}

export interface BegunRun {
  readonly planned: PlannedStart;
  readonly process: StartedProcess;
  readonly warnings: readonly string[];
  readonly steps: readonly ExplainedStep[];
  /** What the next one like it may be started in: see `Pool`. */
  readonly kind: string | undefined;
}

/** Resolves once exec of the program succeeded. @throws as `Container.run`; then nothing of the container is left */
export async function beginRun(
  {runtime, normalized, again}: RunRequest,
  subject: StartSubject,
  explain: boolean,
): Promise<BegunRun> {
  const {name, stdin, signal} = normalized;
  const kind = runtime.pool.kindOf(subject);
  const begin = async (): Promise<BegunRun> => {
    const taken = explain || name !== undefined ? undefined : runtime.pool.take(kind, subject.stored);
    const waiting = taken instanceof Promise ? await taken : taken;
    if (waiting !== undefined) {
      const begun = await startWaiting(runtime, waiting, subject, stdin, signal);
      return {...begun, warnings: waiting.base.warnings, steps: [], kind};
    }
    const own = again ? renewed(runtime, subject) : subject;
    return startTransient(runtime, own, name, 'never', async planned => {
      const request = processRequest(planned, planned.record, stdin);
      using shared = runtime.openShared(planned.record);
      const {descriptors} = shared;
      const process = await startProcess(runtime.launcher(), {
        ...request,
        descriptors,
        trace: explain,
        signal,
      });
      await keepImage(runtime, own, process);
      const steps = explain ? explainPlan(planned.plan, process.started) : [];
      return {planned, process, warnings: planned.warnings, steps, kind};
    });
  };
  return runtime.whileStarting(begin());
}

/**
 * Plans and begins a start, and undoes what it left when it fails.
 * @param wanted the name that was asked for; without, the next random one when it is taken
 */
export async function startTransient<T>(
  runtime: Runtime,
  subject: StartSubject,
  wanted: string | undefined,
  waits: 'never' | 'before exec',
  begin: (prepared: PlannedStart) => Promise<T>,
): Promise<T> {
  const {config, stored} = subject;
  for (let attempt = 0; ; attempt++) {
    const random = wanted === undefined && attempt > 0;
    const named = random ? {...subject, config: {...config, name: randomName(attempt)}} : subject;
    let planned: PlannedStart | undefined;
    let endpoint: Connection | undefined;
    let claims: Disposable | undefined;
    let copy: string | undefined;
    try {
      if (hasVolumes(config)) claims = await claimVolumes(runtime, config, stored);
      endpoint = connects(named.config) ? await connectNetwork(runtime, named.config) : undefined;
      copy = await copyRoot(runtime, named);
      planned = planTransientStart(runtime, named, waits, endpoint);
      return await begin(planned);
    } catch (error) {
      claims?.[Symbol.dispose](); // or they could not go
      releaseAll(runtime, endpoint); // should the teardown not have
      if (copy !== undefined) rmSync(copy, {recursive: true, force: true}); // nor this
      if (await runtime.isWorthAnotherName(error, wanted, attempt)) {
        continue; // the failed start took the anonymous volumes with it: claiming makes them again
      }
      if (isLauncherLoss(error) && planned !== undefined) await runtime.tidyLost(planned.record);
      await runtime.forgetVolumes(config);
      refuseWithoutImage(runtime, subject);
      throw ofEndpoint(error, named.config, endpoint);
    } finally {
      claims?.[Symbol.dispose]();
    }
  }
}

/** Whoever removed the image before this container could be seen did not know of it. @throws `ERR_IMAGE_NOT_FOUND` */
async function keepImage(runtime: Runtime, subject: StartSubject, process: StartedProcess): Promise<void> {
  if (runtime.store.findImage(subject.stored.id) !== undefined) return;
  process.kill(SIGKILL);
  await process.removed;
  refuseWithoutImage(runtime, subject);
}

/** @throws `ERR_IMAGE_NOT_FOUND` */
function refuseWithoutImage({store}: Runtime, {config, stored, keepsWritable}: StartSubject): void {
  if (keepsWritable || store.findImage(stored.id) !== undefined) return; // layers of a build have no image yet
  store.getImage(config.image.reference);
  store.getImage(stored.id); // the name is another one's by now
}

/** @returns where it has a copy of its image now, if it needs one */
async function copyRoot(runtime: Runtime, {config, stored}: StartSubject): Promise<string | undefined> {
  if (runtime.store.storageDriver !== 'vfs') return undefined;
  const {writable} = runtime.livePlacesOf({...config, owner: runtime.owner()});
  await runtime.store.copyRoot(stored, writable);
  return writable;
}

const SIGKILL = 9;

function hasVolumes({mounts}: ContainerConfig): boolean {
  return mounts.some(({type}) => type === 'volume');
}

/** A start whose surroundings are there already. */
async function startWaiting(
  runtime: Runtime,
  {process: waiting, base, expected}: WaitingStart,
  subject: StartSubject,
  stdin: StdinSource,
  signal: AbortSignal | undefined,
): Promise<{planned: PlannedStart; process: StartedProcess}> {
  try {
    const {id, name, owner} = base.record;
    const isExpected = expected.shared === subject.shared;
    const config = isExpected ? expected.record : withIdentity(renewed(runtime, subject).config, id, name);
    const planned = isExpected ? expected : planRest(runtime, {...subject, config}, owner);
    const request = processRequest(planned, config, stdin);
    const process = await waiting.start({...request, trace: false, signal}, () => {
      const places = runtime.livePlacesOf(planned.record);
      if (isExpected) publishExpected(places);
      else publishRecord(places, planned.text);
      if (isExpected) runtime.facts.cgroups.refuseFrozen(config.cgroupParent); // the other way, `planRest` did
    });
    await keepImage(runtime, subject, process);
    return {planned, process};
  } catch (error) {
    await waiting.discard();
    if (isLauncherLoss(error)) await runtime.tidyLost(base.record);
    throw error;
  }
}

/** The same, but somebody else. */
function renewed({store}: Runtime, subject: StartSubject): StartSubject {
  const config = withIdentity(subject.config, store.containers.newId(), randomName());
  return {...subject, config: {...config, created: formatNanoseconds(nowNanoseconds())}};
}

/** What `startProcess` has to know of a planned container. */
export function processRequest(
  planned: Pick<PlannedStart, 'plan' | 'encoded'>,
  config: ContainerConfig,
  stdin: StdinSource,
) {
  return {
    encoded: planned.encoded,
    plan: () => planned.plan,
    argv: config.argv,
    stdin: typeof stdin === 'string' ? stdin : 'pipe',
    stdout: config.stdout,
    stderr: config.stderr,
    outputLimitBytes: config.outputLimitBytes,
    deadlineMs: config.deadlineMs,
    startDeadlineMs: config.startDeadlineMs,
  } as const;
}
