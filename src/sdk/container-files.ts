/**
 * The files of one container: which says what, and the steps that write and remove them. One writer per file:
 * `config.json` by whoever makes the container, `pid` by the launcher at a successful start, `exit.json` by the
 * process that `watcher` names: the one that started it.
 */
import {readFileSync, rmSync} from 'node:fs';
import {HOST, identifyProcess, isAlive, type ProcessIdentity, type Step} from '../binding/index.js';
import {readRecord, writeRecord} from '../store/index.js';
import type {ContainerConfig} from './container-config.js';
import type {ContainerState, Exit} from './container-state.js';
import {formatNanoseconds} from './nanosecond-time.js';
import {writableSteps} from './plan-rootfs.js';
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

/** A container that lives as long as its run: made, and with it its name, by the plan that starts it. */
export function transientSteps(record: ContainerRecord, places: LivePlaces, volumes: readonly string[] = []) {
  const {directory, name, otherName, writable} = places;
  const stage = 'record';
  const host: Step[] = [
    {op: 'symlink', stage: NAME_STAGE, at: HOST, s1: name, s2: record.id, record: true},
    {op: 'absent', stage: NAME_STAGE, at: HOST, s1: otherName, record: true},
    {op: 'mkdir', stage, at: HOST, s1: directory, x: 0o700},
    {
      op: 'create',
      stage,
      at: HOST,
      s1: `${directory}/config.json`,
      s2: JSON.stringify(record),
      x: 0o600,
      record: true,
    },
    ...writableSteps(writable),
  ];
  return {host, started: [pidStep(directory)], teardown: removalSteps(places, volumes)};
}

/** A container that was made before and stays: only what one run adds is made and removed. */
export function keptSteps({directory}: ContainerPlaces) {
  const {pid, startTime} = watcher();
  const host: Step[] = [
    {
      op: 'create',
      stage: 'record',
      at: HOST,
      s1: `${directory}/watcher`,
      s2: `${pid} ${startTime}\n`,
      x: 0o600,
      record: true,
    },
  ];
  return {host, started: [pidStep(directory)], teardown: [] as Step[]};
}

let self: ProcessIdentity | undefined;

/** This process: it will write how the run ended. */
function watcher(): ProcessIdentity {
  self ??= identifyProcess(process.pid);
  return self ?? {pid: 0, startTime: 0};
}

/**
 * The name goes first: whoever takes it again must not find it gone a moment later. Only this container's is released: a
 * start that found its name taken is torn down like any other. The record goes last: while it is there, the next open
 * removes the rest.
 * @param volumes directories of its anonymous volumes
 */
export function removalSteps(
  {id, directory, writable, name}: ContainerPlaces,
  volumes: readonly string[],
): Step[] {
  const own = [...new Set([writable, directory])];
  return [
    {op: 'unlink', stage: 'release the name', at: HOST, s1: name, s2: id, record: true},
    ...volumes.map((path): Step => ({op: 'removeTree', stage: 'remove a volume', at: HOST, s1: path})),
    ...own.map((path): Step => ({op: 'removeTree', stage: 'remove the container', at: HOST, s1: path})),
  ];
}

function pidStep(directory: string): Step {
  return {op: 'pidFile', stage: 'record', at: HOST, s1: `${directory}/pid`, x: 0o600, record: true};
}

/** The process that the `pid` file names; undefined before a start. */
export function readPid(directory: string): ProcessIdentity | undefined {
  return readIdentity(`${directory}/pid`);
}

/** The process that will write the end of the run that is under way; undefined when none is. */
export function readWatcher(directory: string): ProcessIdentity | undefined {
  return readIdentity(`${directory}/watcher`);
}

function readIdentity(path: string): ProcessIdentity | undefined {
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
 * @param owner the launcher that removes it, when its record names one
 */
export function readState(
  directory: string,
  startedAt: (identity: ProcessIdentity) => string,
  owner?: ProcessIdentity,
): ContainerState {
  const identity = readPid(directory);
  const running = (at: ProcessIdentity): ContainerState => ({
    status: 'running',
    pid: at.pid,
    startedAt: startedAt(at),
  });
  if (identity !== undefined && isAlive(identity)) return running(identity);
  const ended = readExit(directory);
  if (ended !== undefined) return ended;
  if (identity === undefined) return {status: 'created'};
  if (owner !== undefined && isAlive(owner)) return {status: 'removing'};
  // It is gone; how it ended is about to be written, unless whoever was to do that died as well.
  const watcher = readWatcher(directory);
  if (watcher !== undefined && isAlive(watcher)) return running(identity);
  const at = startedAt(identity);
  return readExit(directory) ?? {status: 'exited', startedAt: at, finishedAt: at, exit: LOST};
}

function readExit(directory: string): ContainerState | undefined {
  const ended = readRecord(`${directory}/exit.json`) as ExitRecord | undefined;
  return ended && {status: 'exited', ...ended};
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
  endRun(directory);
}

/** After its end was written, or when it never came to run: nobody watches any more. */
export function endRun(directory: string): void {
  rmSync(`${directory}/pid`, {force: true});
  rmSync(`${directory}/watcher`, {force: true});
}

/** Before a new start of a kept container: what the last one left is no longer true. */
export function forgetRun(directory: string): void {
  endRun(directory);
  rmSync(`${directory}/exit.json`, {force: true});
}
