/**
 * Other limits and another restart policy for a container, running or not: its cgroup first, then its record and the
 * plan for restarts, then its monitor is told. What the kernel refuses changes nothing.
 */
import {readFileSync} from 'node:fs';
import {applyUpdate, isGone, type LimitUpdate} from '../cgroup/index.js';
import {replaceFile} from '../store/index.js';
import {type ContainerRecord, isWatched} from './container-files.js';
import {isUp} from './container-state.js';
import {cannotUpdate, checkUpdate, mergeUpdate, type UpdateOptions} from './merge-update.js';
import {MonitorConnection} from './monitor-connection.js';
import {containerEvent} from './record-events.js';
import {planFor, reload} from './reload-monitor.js';
import type {Runtime} from './runtime.js';
import {unlessRemoved} from './unless-removed.js';

/** @returns limits that are not enforced, with `whenUnavailable: 'warn'` */
export async function updateContainer(
  runtime: Runtime,
  id: string,
  options: UpdateOptions,
): Promise<readonly string[]> {
  checkUpdate(options);
  runtime.facts.cgroups.checkUpdate(options.limits ?? {});
  const {containers} = runtime.store;
  const update = () => change(runtime, runtime.readContainer(id), options);
  const isLive = runtime.readContainer(id).owner !== undefined;
  const {record, warnings} = await unlessRemoved(runtime, id, () =>
    isLive ? containers.withLiveLock(update) : containers.withLock(id, update),
  );
  runtime.tell([containerEvent(record, 'update')]);
  return warnings;
}

/** With its lock held. */
async function change(runtime: Runtime, before: ContainerRecord, options: UpdateOptions) {
  const {cgroups} = runtime.facts;
  const {id, cgroupParent, whenUnavailable} = before;
  const record: ContainerRecord = {...before, ...mergeUpdate(before, options, limitsSwap(runtime))};
  const update = cgroups.compileUpdate({
    name: id,
    ...(cgroupParent !== undefined && {parent: cgroupParent}),
    before: before.limits,
    limits: record.limits,
    whenUnavailable,
  });
  const {directory} = runtime.placesOf(before);
  const monitor = isWatched(directory) ? await MonitorConnection.open(directory) : undefined;
  try {
    const undoLimits = await apply(runtime, record, update, monitor);
    let undoFiles = () => {};
    try {
      undoFiles = replaceFiles(runtime, directory, record, monitor && planFor(runtime, record, monitor));
      if (monitor !== undefined) await reload(monitor, () => apply(runtime, record, update, monitor));
    } catch (error) {
      undoFiles();
      await undoLimits();
      throw error;
    }
  } finally {
    monitor?.close();
  }
  return {record, warnings: update.warnings};
}

function limitsSwap({facts}: Runtime): boolean {
  return facts.cgroups.capabilities().some(({controller, available}) => controller === 'swap' && available);
}

/** Nothing is done to one that does not run, or that ends meanwhile. @throws `ERR_LIMIT_REFUSED`, `ERR_LIMIT_UNSUPPORTED` */
async function apply(
  runtime: Runtime,
  record: ContainerRecord,
  update: LimitUpdate,
  monitor: MonitorConnection | undefined,
): Promise<() => Promise<void>> {
  if (!isUp(runtime.stateOf(record))) return async () => {};
  try {
    // Who tears it down has to know of each cgroup that it is in.
    return await applyUpdate(update, runtime.cgroupsOf(record), monitor?.reloadsTeardown ?? false);
  } catch (error) {
    if (isGone(error) && !isUp(runtime.stateOf(record))) return async () => {};
    throw cannotUpdate(record.id, error);
  }
}

/** All of them, or none. @returns how to take it back */
function replaceFiles(
  runtime: Runtime,
  directory: string,
  record: ContainerRecord,
  plan: Buffer | undefined,
): () => void {
  const durable = record.owner === undefined;
  const work = durable ? runtime.store.work : undefined;
  const contents: readonly (readonly [name: string, content: string | Buffer])[] = [
    ...(plan === undefined ? [] : [['plan.bin', plan] as const]),
    ['config.json', `${JSON.stringify(record)}\n`],
  ];
  const before: [path: string, content: Buffer][] = [];
  const undo = () => {
    for (const [path, content] of before) replaceFile(path, content, {durable, work});
  };
  try {
    for (const [name, content] of contents) {
      const path = `${directory}/${name}`;
      const old = readFileSync(path);
      replaceFile(path, content, {durable, work});
      before.push([path, old]);
    }
  } catch (error) {
    undo();
    throw error;
  }
  return undo;
}
