/**
 * Pauses containers for a copy of one moment: of a volume that they use, of their own files. Who was paused is written down first, below the
 * run-time directory: whatever becomes of the process that did it, the next opening of the store lets them go on.
 */
import {randomBytes} from 'node:crypto';
import {mkdirSync, rmSync} from 'node:fs';
import {join} from 'node:path';
import {identifyProcess} from '../binding/index.js';
import {CoracleError} from '../errors.js';
import {writeRecord} from '../store/index.js';
import {Container} from './container.js';
import {type Pause, pausesDirectory} from './release-paused.js';
import type {Runtime} from './runtime.js';

export interface HeldStill extends AsyncDisposable {
  /** Names of those that are paused by this. */
  readonly names: readonly string[];
}

/** Until this is disposed of none of the containers that have the volume writes to it. */
export async function holdStill(runtime: Runtime, volume: string): Promise<HeldStill> {
  return holdContainersStill(runtime, runtime.volumeUsers(volume));
}

/** Until this is disposed of those that run stand still; one that somebody else paused stays so. */
export async function holdContainersStill(runtime: Runtime, ids: Iterable<string>): Promise<HeldStill> {
  const directory = pausesDirectory(runtime);
  mkdirSync(directory, {recursive: true, mode: 0o700});
  const path = join(directory, `${randomBytes(8).toString('hex')}.json`);
  const owner = identifyProcess(process.pid) ?? {pid: process.pid, startTime: 0};
  const paused: Container[] = [];
  const release = async () => {
    for (const container of paused.splice(0).reverse()) await container.unpause().catch(expectGone);
    rmSync(path, {force: true});
  };
  try {
    for (const id of ids) {
      const record = runtime.findContainer(id);
      if (record === undefined || runtime.stateOf(record).status !== 'running') continue;
      const containers = [...paused.map(each => each.id), id];
      writeRecord(path, {owner, containers} satisfies Pause, {durable: false});
      const container = new Container(runtime, record);
      try {
        await container.pause();
        paused.push(container);
      } catch (error) {
        expectGone(error);
      }
    }
  } catch (error) {
    await release();
    throw error;
  }
  return {names: paused.map(({name}) => name), [Symbol.asyncDispose]: release};
}

/** It ended by itself, or somebody else paused it or let it go on. */
function expectGone(error: unknown): void {
  const codes = [
    'ERR_CONTAINER_NOT_RUNNING',
    'ERR_CONTAINER_NOT_FOUND',
    'ERR_CONTAINER_PAUSED',
    'ERR_CONTAINER_NOT_PAUSED',
  ];
  if (!(error instanceof CoracleError && codes.includes(error.code))) throw error;
}
