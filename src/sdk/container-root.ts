/**
 * A container's root file system as its processes see it, volumes and binds included, for the host to read and write below
 * one descriptor. That of one that runs is its process's; for one that does not everything but its program is started,
 * and given up again.
 */
import {constants, openSync, rmSync} from 'node:fs';
import {Descriptor, encodePlan, HOST, isAlive, O_PATH, type ProcessIdentity} from '../binding/index.js';
import {containerNotFound} from '../store/index.js';
import {processRequest} from './begin-run.js';
import {type ContainerRecord, endRun, keptSteps, readIdentity, readPid} from './container-files.js';
import {prepareStart} from './prepare-start.js';
import type {Runtime} from './runtime.js';
import {isLauncherLoss, type PreparedProcess, prepareProcess} from './start-process.js';
import {volumeNames} from './use-volumes.js';

export interface ContainerRoot extends AsyncDisposable {
  /** Open with O_PATH. */
  readonly fd: number;
  readonly record: ContainerRecord;
}

/**
 * One that does not run cannot be started until this is disposed of.
 * @throws `ERR_CONTAINER_NOT_FOUND`, and as a start of the container
 */
export async function openContainerRoot(runtime: Runtime, id: string): Promise<ContainerRoot> {
  const record = runtime.readContainer(id);
  const running = openRunning(runtime, record);
  if (running !== undefined) return running;
  if (record.owner !== undefined) throw containerNotFound(id); // it is being removed
  return openStopped(runtime, record);
}

function openRunning(runtime: Runtime, record: ContainerRecord): ContainerRoot | undefined {
  const process = readPid(runtime.placesOf(record).directory);
  const root = process && rootOf(process);
  return root && {fd: root.fd, record, [Symbol.asyncDispose]: async () => root.close()};
}

/** Opened first and looked at afterwards: alive after that, it was no other process before. */
function rootOf(process: ProcessIdentity): Descriptor | undefined {
  let root: Descriptor;
  try {
    root = new Descriptor(openSync(`/proc/${process.pid}/root`, O_PATH | constants.O_DIRECTORY));
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
  if (isAlive(process)) return root;
  root.close();
  return undefined;
}

/** Under the container's lock for as long as it is open: a start waits for it. */
async function openStopped(runtime: Runtime, record: ContainerRecord): Promise<ContainerRoot> {
  let release = () => {};
  const released = new Promise<void>(resolve => {
    release = resolve;
  });
  return new Promise<ContainerRoot>((resolve, reject) => {
    const held = runtime.store.containers.withLock(record.id, async () => {
      // Started by somebody while this waited for the lock?
      const running = openRunning(runtime, runtime.readContainer(record.id));
      if (running !== undefined) {
        resolve(running);
        return;
      }
      await runtime.settle(record);
      const surroundings = await startSurroundings(runtime, record);
      try {
        const root = surroundings.root;
        resolve({
          fd: root.fd,
          record,
          [Symbol.asyncDispose]: async () => {
            release();
            await held;
          },
        });
        await released;
      } finally {
        await surroundings.end();
      }
    });
    held.catch(reject);
  });
}

interface Surroundings {
  readonly root: Descriptor;
  end(): Promise<void>;
}

/** All of a start but what only the program needs: it waits before its exec, which never comes. */
async function startSurroundings(runtime: Runtime, record: ContainerRecord): Promise<Surroundings> {
  const {pid, ipc, uts, ...others} = record;
  const config: ContainerRecord = {
    ...others,
    ...{limits: {}, sysctls: {}, devices: [], network: 'none', oomScoreAdj: 0, init: false},
    ...{stdin: 'ignore', stdout: 'ignore', stderr: 'ignore', deadlineMs: null},
  };
  const places = runtime.placesOf(record);
  const heldPath = `${places.directory}/held`;
  rmSync(heldPath, {force: true});
  endRun(places.directory);
  await runtime.lookUpServers(volumeNames(record));
  const prepared = prepareStart(runtime.facts, {
    config,
    image: runtime.store.imageOfContainer(record.image.id),
    baseLayer: runtime.baseLayer,
    places,
    transient: false,
    waits: 'before exec',
    // As in Docker, where a container has none before its first start.
    etcFiles: runtime.stateOf(record).status !== 'created',
    volume: name => runtime.volume(name),
    bookkeeping: {
      host: keptSteps(places, runtime.owner()).host, // should this process die, the next open removes the rest
      started: [{op: 'pidFile', stage: 'record', at: HOST, s1: heldPath, x: 0o600, record: true}],
      teardown: [{op: 'unlink', stage: 'record', at: HOST, s1: heldPath}],
    },
    networksDirectory: runtime.networks.liveDirectory,
    extraEnv: [],
  });
  const request = processRequest({plan: prepared.plan, encoded: encodePlan(prepared.plan)}, config, 'ignore');
  let process: PreparedProcess;
  try {
    process = await prepareProcess(runtime.launcher(), {...request, trace: false, signal: undefined});
  } catch (error) {
    if (isLauncherLoss(error)) await runtime.tidyLost(record);
    endRun(places.directory);
    throw error;
  }
  const end = async () => {
    await process.discard();
    endRun(places.directory);
  };
  const identity = readIdentity(heldPath);
  const root = identity && rootOf(identity);
  if (root === undefined) {
    await end();
    throw new Error(`the surroundings of ${record.id} ended at once`);
  }
  return {
    root,
    end: async () => {
      root.close();
      await end();
    },
  };
}
