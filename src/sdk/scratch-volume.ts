import {randomBytes} from 'node:crypto';
import {identifyProcess} from '../binding/index.js';
import type {Runtime} from './runtime.js';
import {removeVolume} from './use-volumes.js';

export interface ScratchVolume extends AsyncDisposable {
  readonly name: string;
  /** Where its data is on the host. */
  readonly mountpoint: string;
}

/** A volume until this is disposed of; when this process dies before, the next opening of the store removes it. */
export async function scratchVolume(runtime: Runtime, purpose: string): Promise<ScratchVolume> {
  const {volumes} = runtime.store;
  const id = randomBytes(32).toString('hex'); // of no container: only the process counts
  const owner = {id, ...(identifyProcess(process.pid) ?? {pid: process.pid, startTime: 0})};
  const name = `${purpose}-${id.slice(0, 12)}`;
  const {Mountpoint} = await volumes.create({name, labels: {'coracle.scratch': purpose}, owner});
  return {
    name,
    mountpoint: Mountpoint,
    [Symbol.asyncDispose]: () => removeVolume(runtime, name, () => runtime.volumeUsers(name)),
  };
}
