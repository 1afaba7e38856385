/** Another name for a container, running or not. Its monitor tells of it by the new one from then on. */
import {existsSync, readFileSync} from 'node:fs';
import {CoracleError} from '../errors.js';
import {replaceFile, writeRecord} from '../store/index.js';
import {renameOnNetworks} from './change-networks.js';
import {type ContainerRecord, isWatched} from './container-files.js';
import {MonitorConnection} from './monitor-connection.js';
import {renamedProbe} from './prepare-probe.js';
import {containerEvent} from './record-events.js';
import {planWithName, reload} from './reload-monitor.js';
import type {Runtime} from './runtime.js';
import {unlessRemoved} from './unless-removed.js';

/** @throws `ERR_NAME_IN_USE`, `ERR_INVALID_NAME`, `ERR_CONTAINER_NOT_FOUND` */
export async function renameContainer(runtime: Runtime, id: string, wanted: string): Promise<void> {
  const {containers} = runtime.store;
  const name = wanted.replace(/^\//, '');
  await containers.dropStaleName(name);
  const isLive = runtime.readContainer(id).owner !== undefined;
  const rename = async () => {
    const before = runtime.readContainer(id);
    if (before.name === name) {
      throw new CoracleError(
        'ERR_INVALID_NAME',
        'Renaming a container with the same name as its current name',
        {details: {name}},
      );
    }
    const record = {...before, name};
    const {directory} = runtime.placesOf(before);
    using monitor = isWatched(directory) ? await MonitorConnection.open(directory) : undefined;
    containers.rename(id, before.name, name, isLive, () => {
      let restore: (() => void) | undefined;
      try {
        renameOnNetworks(runtime, record);
        restore = monitor && replacePlans(runtime, directory, record, monitor);
        // What lives as long as its run is on another file system, and goes with all that is in its directory.
        const work = isLive ? undefined : runtime.store.work;
        writeRecord(`${directory}/config.json`, record, {durable: !isLive, work});
      } catch (error) {
        restore?.();
        renameOnNetworks(runtime, before);
        throw error;
      }
    });
    if (monitor !== undefined) await reload(monitor);
    return {record, oldName: before.name};
  };
  const renamed: {readonly record: ContainerRecord; readonly oldName: string} = await unlessRemoved(
    runtime,
    id,
    () => (isLive ? containers.withLiveLock(rename) : containers.withLock(id, rename)),
  );
  runtime.tell([containerEvent(renamed.record, 'rename', {oldName: `/${renamed.oldName}`})]);
}

/** What the monitor is told to read anew. @returns how to take it back */
function replacePlans(
  runtime: Runtime,
  directory: string,
  record: ContainerRecord,
  monitor: MonitorConnection,
): () => void {
  const path = {plan: `${directory}/plan.bin`, probe: `${directory}/probe.bin`};
  const plan = readFileSync(path.plan);
  const probe = existsSync(path.probe) ? readFileSync(path.probe) : undefined;
  const replace = (present: Buffer, changed: Buffer | undefined) => {
    replaceFile(path.plan, present, {durable: false, work: runtime.store.work});
    if (changed !== undefined) replaceFile(path.probe, changed, {durable: false, work: runtime.store.work});
  };
  replace(
    planWithName(runtime, record, monitor),
    probe && renamedProbe(probe, record, runtime.cgroupsOf(record)),
  );
  return () => replace(plan, probe);
}
