/**
 * The files of one container: which says what, and the steps that write and remove them. One writer per file:
 * `config.json` by whoever makes the container, `pid` by whoever carries out a start, `exit.json` by the process that
 * `watcher` names: the one that started it or, when it is detached, its monitor, which writes `state.json` as well.
 */
import {
  existsSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import {
  HOST,
  identifyProcess,
  isAlive,
  isErrno,
  type ProcessIdentity,
  STEP_FLAGS,
  type Step,
  writeWhole,
} from '../binding/index.js';
import {readRecord, writeRecord} from '../store/index.js';
import type {ContainerConfig} from './container-config.js';
import type {ContainerState, Exit, StartFailure} from './container-state.js';
import {exitOfRecord, readMonitorState, type WaitedRecord} from './monitor-records.js';
import {formatNanoseconds} from './nanosecond-time.js';
import {writableSteps} from './plan-rootfs.js';
import {removeVolumeSteps} from './plan-volumes.js';
import {NAME_STAGE} from './start-failure.js';

/** `config.json`. A container that removes itself names the launcher it belongs to: without it, it is rubbish. */
export interface ContainerRecord extends ContainerConfig {
  readonly owner?: ProcessIdentity;
}

/** Of a container that lives as long as its run. */
export type LiveRecord = ContainerRecord & {readonly owner: ProcessIdentity};

/** `exit.json`: how the last run ended. Numbers that JSON lacks come back as undefined. */
interface ExitRecord {
  readonly startedAt: string;
  readonly finishedAt: string;
  readonly exit: Exit;
}

export interface ContainerPlaces {
  readonly id: string;
  /** Its records, and the files that are mounted at /etc. */
  readonly directory: string;
  /** `upper` and `work` of its root file system. */
  readonly writable: string;
  /** The symlink that reserves the name: its target is the id. */
  readonly name: string;
}

/** Of a container that lives as long as its run: records in memory, where the host has its run-time directory there. */
export interface LivePlaces extends ContainerPlaces {
  /** Where a container that stays would have reserved the name. */
  readonly otherName: string;
}

/** What the plan of a start writes and removes beside its surroundings. */
export interface Bookkeeping {
  readonly host: readonly Step[];
  readonly started: readonly Step[];
  readonly teardown: readonly Step[];
}

/**
 * A container that lives as long as its run: made, and with it its name, by the plan that starts it.
 * @param keepsWritable what it has written stays, for whoever started it to take
 */
export function transientSteps(
  places: LivePlaces,
  record: string,
  volumes: readonly string[] = [],
  keepsWritable = false,
): Bookkeeping {
  return liveSteps(places, 'config.json', record, volumes, keepsWritable);
}

/** One whose program is not known yet: nobody sees it until `publishRecord`. */
export function waitingSteps(places: LivePlaces, record: string): Bookkeeping {
  return liveSteps(places, 'waiting.json', record, []);
}

/** `waiting.json`: all that removing it takes, should its launcher die. */
export type WaitingRecord = Pick<LiveRecord, 'id' | 'name' | 'owner' | 'mounts' | 'cgroupParent'>;

export function waitingRecord({id, name, owner, cgroupParent}: LiveRecord): WaitingRecord {
  return {id, name, owner, mounts: [], ...(cgroupParent !== undefined && {cgroupParent})};
}

/** What a record says beside who it is of, as JSON: the same for all containers of a kind. */
export function sharedText({id, name, created, hostname, ...shared}: ContainerConfig): string {
  return JSON.stringify(shared);
}

/** The text of `config.json`. @param shared as `sharedText` gives it */
export function recordText({id, name, created, hostname, owner}: LiveRecord, shared: string): string {
  const own = JSON.stringify({id, name, created, hostname, owner});
  return `${own.slice(0, -1)},${shared.slice(1)}`;
}

/** The record that one which waits will have, if what is expected comes. */
export function writeExpected({directory}: LivePlaces, text: string): void {
  writeWhole(`${directory}/expected.json`, text);
}

/** It came. */
export function publishExpected({directory}: LivePlaces): void {
  try {
    renameSync(`${directory}/expected.json`, `${directory}/config.json`);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error; // removed already, as below
  }
}

/** `config.json` of one that waited. Its program runs already, and may have ended: then there is nothing to write to. */
export function publishRecord({directory}: LivePlaces, text: string): void {
  try {
    writeWhole(`${directory}/config.json`, text);
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
  }
}

function liveSteps(
  places: LivePlaces,
  file: string,
  record: string,
  volumes: readonly string[],
  keepsWritable = false,
): Bookkeeping {
  const {id, directory, name, otherName, writable} = places;
  const stage = 'record';
  const kept = keepsWritable ? {...places, writable: directory} : places;
  // What its launcher can be told by comes first, and goes last; the name comes last.
  const host: Step[] = [
    ...writableSteps(writable),
    {op: 'mkdir', stage, at: HOST, s1: directory, x: 0o700},
    {op: 'create', stage, at: HOST, s1: `${directory}/${file}`, s2: record, x: 0o600, record: true},
    {op: 'symlink', stage: NAME_STAGE, at: HOST, s1: name, s2: id, record: true},
    {op: 'absent', stage: NAME_STAGE, at: HOST, s1: otherName, record: true},
  ];
  return {host, started: [pidStep(directory)], teardown: removalSteps(kept, volumes)};
}

/**
 * A container that was made before and stays: only what one run adds is made and removed.
 * @param launcher who carries the plan out, and goes on with it should this process die
 */
export function keptSteps({directory}: ContainerPlaces, launcher: ProcessIdentity) {
  const identities = {launcher, watcher: watcher()};
  const host = Object.entries(identities).map(
    ([name, {pid, startTime}]): Step => ({
      op: 'create',
      stage: 'record',
      at: HOST,
      s1: `${directory}/${name}`,
      s2: `${pid} ${startTime}\n`,
      x: 0o600,
      record: true,
    }),
  );
  return {host, ...startedSteps({directory})};
}

function startedSteps({directory}: Pick<ContainerPlaces, 'directory'>) {
  // How it ended before stays true until it runs again: a start that fails changes nothing.
  const forget = ['exit.json', 'failure.json', 'health.json', 'state.json', 'stopped'].map(
    (name): Step => ({op: 'unlink', stage: 'record', at: HOST, s1: `${directory}/${name}`, record: true}),
  );
  return {started: [...forget, nextPidStep(directory)], teardown: [] as Step[]};
}

/**
 * As `keptSteps`, for a start by a monitor: who watches is written down before it begins, and `state.json` is the
 * monitor's to replace. Were it gone for a moment, a container between two runs would seem to have ended.
 */
export function monitoredSteps(places: ContainerPlaces): Bookkeeping {
  const {started, teardown} = startedSteps(places);
  return {host: [], started: started.filter(({s1}) => s1 !== `${places.directory}/state.json`), teardown};
}

/** From now on this process answers for the container: whatever it was at when it dies, the next open finishes. */
export function writeWatcher(directory: string, {pid, startTime}: ProcessIdentity): void {
  writeWhole(`${directory}/watcher`, `${pid} ${startTime}\n`);
}

let self: ProcessIdentity | undefined;

/** This process: it will write how the run ended. */
function watcher(): ProcessIdentity {
  self ??= identifyProcess(process.pid);
  return self ?? {pid: 0, startTime: 0};
}

/**
 * The name goes first: whoever takes it again must not find it gone a moment later. Only this container's is released: a
 * start that found its name taken is torn down like any other. The record stays when a volume did: while it is there, the
 * next open removes the rest. The writable layer of one that lives as long as its run goes last: its path tells whose it is.
 * A volume is none any more before its files go, one after the other; one that another container has as well stays.
 * @param volumes directories of its anonymous volumes
 */
export function removalSteps(
  {id, directory, writable, name}: ContainerPlaces,
  volumes: readonly string[],
): Step[] {
  const own = [...new Set([directory, writable])];
  return [
    {op: 'unlink', stage: 'release the name', at: HOST, s1: name, s2: id, record: true},
    ...volumes.flatMap(path => removeVolumeSteps(path, id)),
    ...own.map(
      (path): Step => ({
        op: 'removeTree',
        stage: 'remove the container',
        at: HOST,
        s1: path,
        ...(path === directory && {flags: STEP_FLAGS.ifClean}),
      }),
    ),
  ];
}

function pidStep(directory: string): Step {
  return {op: 'pidFile', stage: 'record', at: HOST, s1: `${directory}/pid`, x: 0o600, record: true};
}

/** In place of that of its last run, at once: without any, the container would seem never to have run. */
function nextPidStep(directory: string): Step {
  return {...pidStep(directory), flags: STEP_FLAGS.existsOk};
}

/** Whether the name is reserved for this container; one that it was given while it ran has a slash behind the id. */
export function holdsName({id, name}: ContainerPlaces): boolean {
  try {
    return [id, `${id}/`].includes(readlinkSync(name));
  } catch {
    return false;
  }
}

/** Somebody joins the network of a container: its interfaces end with it all the same. */
export function noteSharedNetwork(directory: string): void {
  try {
    writeFileSync(sharedNetworkFile(directory), '', {mode: 0o600});
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error; // it has ended, which whoever joins it will see
  }
}

/** It is there once somebody has joined the network of the present run. */
export function sharedNetworkFile(directory: string): string {
  return `${directory}/network-shared`;
}

/** Whether something of a run is under way, or left to be done by a process that lives. */
export function isWatched(directory: string): boolean {
  const watcher = readWatcher(directory);
  return watcher !== undefined && isAlive(watcher);
}

/** Whether somebody wanted the end of its last run. */
export function wasStopped(directory: string): boolean {
  return existsSync(`${directory}/stopped`);
}

/**
 * Of one whose monitor died: whether it ran, or its monitor would have started it again. A start that had not come to a
 * run is nobody's to repeat, nor is one that had ended for good.
 */
export function wasRunning(directory: string, record: StateFacts): boolean {
  if (readMonitorState(directory)?.status === 'restarting') return true;
  return readPid(directory) !== undefined && readExit(directory, record) === undefined;
}

/** The process that the `pid` file names; undefined before a start. */
export function readPid(directory: string): ProcessIdentity | undefined {
  return readIdentity(`${directory}/pid`);
}

/** Where the processes that joined the container are written down, a file each: its name is the exec's id. */
export function execDirectory(directory: string): string {
  return `${directory}/exec`;
}

/** Made once it runs, gone once it has ended. */
export function execSteps(directory: string, id: string): Bookkeeping {
  const [place, stage] = [execDirectory(directory), 'record'];
  const file = `${place}/${id}`;
  const mkdir: Step = {
    op: 'mkdir',
    stage,
    at: HOST,
    s1: place,
    x: 0o700,
    flags: STEP_FLAGS.existsOk,
    record: true,
  };
  return {
    host: [mkdir],
    started: [{op: 'pidFile', stage, at: HOST, s1: file, x: 0o600, record: true}],
    teardown: [{op: 'unlink', stage, at: HOST, s1: file, record: true}],
  };
}

/** Ids of the execs that run. */
export function readExecs(directory: string): string[] {
  const place = execDirectory(directory);
  let names: string[];
  try {
    names = readdirSync(place);
  } catch {
    return []; // there never was one
  }
  return names.sort().filter(name => {
    const identity = readIdentity(`${place}/${name}`);
    return identity !== undefined && isAlive(identity);
  });
}

/** The process that will write the end of the run that is under way; undefined when none is. */
export function readWatcher(directory: string): ProcessIdentity | undefined {
  return readIdentity(`${directory}/watcher`);
}

/** Whoever may be at something still for a run whose watcher died: see `awaitHelpers`. */
export function leadersOf(directory: string): number[] {
  const leaders = [readWatcher(directory), readIdentity(`${directory}/launcher`)];
  return leaders.flatMap(leader => leader?.pid ?? []);
}

export function readIdentity(path: string): ProcessIdentity | undefined {
  let text: string;
  try {
    text = readFileSync(path, 'latin1');
  } catch {
    return undefined;
  }
  const [, pid, startTime] = /^(\d+) (\d+)\n$/.exec(text) ?? [];
  return pid === undefined ? undefined : {pid: Number(pid), startTime: Number(startTime)};
}

/**
 * Where a container is, from its files alone: the same for every process that asks.
 */
export function readState(
  directory: string,
  record: StateFacts,
  startedAt: (identity: ProcessIdentity) => string,
): ContainerState {
  const {owner, autoRemove} = record;
  const identity = readPid(directory);
  const since = (at: ProcessIdentity) => readMonitorState(directory)?.startedAt ?? startedAt(at);
  const running = (at: ProcessIdentity): ContainerState => ({
    status: 'running',
    pid: at.pid,
    startedAt: since(at),
  });
  if (identity !== undefined && isAlive(identity)) return running(identity);
  const ended = readExit(directory, record);
  if (ended !== undefined) {
    if (isToRestart(directory)) return {...ended, status: 'restarting'};
    // Its monitor writes the pid of a next run before it says that it runs: was it that what was read last?
    const next = readPid(directory);
    if (next === undefined || next.pid === identity?.pid) return {...ended, ...readFailure(directory)};
    return readState(directory, record, startedAt);
  }
  if (identity === undefined) return {status: 'created', ...readFailure(directory)};
  // It is gone; it is about to be removed, or how it ended to be written, unless whoever was to do that died as well.
  const watcher = owner ?? readWatcher(directory);
  if (watcher !== undefined && isAlive(watcher)) return autoRemove ? {status: 'removing'} : running(identity);
  const at = since(identity);
  return readExit(directory, record) ?? {status: 'exited', startedAt: at, finishedAt: at, exit: LOST};
}

/** `failure.json`: why the last start of a container that stays came to nothing; gone with the next one that does not. */
export function writeFailure(directory: string, failure: StartFailure, work: string): void {
  try {
    writeRecord(`${directory}/failure.json`, failure, {durable: false, work});
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error; // it is gone itself
  }
}

function readFailure(directory: string): {readonly failure?: StartFailure} {
  const failure = readRecord(`${directory}/failure.json`) as StartFailure | undefined;
  return failure === undefined ? {} : {failure};
}

/** What of a record its state depends on. */
export type StateFacts = Pick<ContainerRecord, 'owner' | 'autoRemove' | 'deadlineMs' | 'limits'>;

/** Undefined before the end of a first run, and while the next runs. */
export function readExit(
  directory: string,
  config: Pick<ContainerRecord, 'deadlineMs' | 'limits'>,
): Extract<ContainerState, {status: 'exited'}> | undefined {
  const ended = readRecord(`${directory}/exit.json`) as ExitRecord | WaitedRecord | undefined;
  if (ended === undefined) return undefined;
  const {startedAt, finishedAt} = ended;
  const exit = 'waited' in ended ? exitOfRecord(ended, config) : ended.exit;
  return {status: 'exited', startedAt, finishedAt, exit};
}

/** Its monitor lives, and waits until the pause before the next run is over. */
function isToRestart(directory: string): boolean {
  return readMonitorState(directory)?.status === 'restarting' && isWatched(directory);
}

/** Nobody lived to learn how it ended. */
export const LOST: Exit = {
  kind: 'lost',
  cause: {kind: 'supervisor-lost'},
  durationMs: 0,
  cpuTimeMs: undefined,
  peakMemoryBytes: undefined,
  lastOutput: {stdout: '', stderr: '', truncated: false},
};

export function writeExit(directory: string, startedNs: bigint, finishedNs: bigint, exit: Exit): void {
  const record: ExitRecord = {
    startedAt: formatNanoseconds(startedNs),
    finishedAt: formatNanoseconds(finishedNs),
    exit,
  };
  try {
    writeRecord(`${directory}/exit.json`, record, {durable: false});
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error; // somebody removed it by force meanwhile
  }
}

/** What only a process that died would have gone on with: its socket, files that were to replace others. */
export function removeHalfWritten(directory: string): void {
  for (const name of readdirSync(directory)) {
    if (name === 'control' || name === 'held' || /(~|\.tmp)$/.test(name)) {
      rmSync(`${directory}/${name}`, {force: true}); // whoever is dying may be at it still
    }
  }
}

/**
 * What the next open has to do for a container that stays, besides what its other files say. `leftover`: of its last run something
 * could not be removed; its monitor writes that down as well. `again`: it lost its monitor, and is to be started.
 */
type Duty = 'leftover' | 'again';

export function writeDuty(directory: string, duty: Duty): void {
  try {
    writeWhole(`${directory}/${duty}`, '');
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error; // somebody removed the container meanwhile
  }
}

export function hasDuty(directory: string, duty: Duty): boolean {
  return existsSync(`${directory}/${duty}`);
}

export function clearDuty(directory: string, duty: Duty): void {
  rmSync(`${directory}/${duty}`, {force: true});
}

/**
 * When nothing of a run is left to be done, or it never came to run: nobody watches any more. Before that its cgroups may
 * be there still: should its watcher die, the next open sees to them.
 */
export function endRun(directory: string): void {
  rmSync(execDirectory(directory), {recursive: true, force: true});
  for (const name of ['pid', 'launcher', 'watcher']) rmSync(`${directory}/${name}`, {force: true});
}
