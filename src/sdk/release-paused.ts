/** Containers that a process had paused for a while, and did not live to let go on: see `hold-still.ts`. */
import {existsSync, readdirSync, rmSync} from 'node:fs';
import {join} from 'node:path';
import {isAlive, type ProcessIdentity} from '../binding/index.js';
import {thaw} from '../cgroup/index.js';
import {readRecord} from '../store/index.js';
import {containerEvent} from './record-events.js';
import type {Runtime} from './runtime.js';

/** What is written down before anybody is paused. */
export interface Pause {
  readonly owner: ProcessIdentity;
  /** Ids. */
  readonly containers: readonly string[];
}

/** Below the run-time directory: a reboot ends pauses. */
export function pausesDirectory({store}: Pick<Runtime, 'store'>): string {
  return join(store.live, 'paused');
}

export async function releasePaused(runtime: Runtime): Promise<void> {
  const directory = pausesDirectory(runtime);
  if (!existsSync(directory)) return;
  for (const name of readdirSync(directory)) {
    const path = join(directory, name);
    const pause = name.endsWith('.json') ? (readRecord(path) as Pause | undefined) : undefined;
    if (pause === undefined || isAlive(pause.owner)) continue;
    for (const id of pause.containers) {
      const record = runtime.findContainer(id);
      if (record === undefined || runtime.stateOf(record).status !== 'paused') continue;
      await thaw(runtime.cgroupsOf(record));
      runtime.tell([containerEvent(record, 'unpause')]);
    }
    rmSync(path, {force: true});
  }
}
