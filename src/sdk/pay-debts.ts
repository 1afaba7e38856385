/** Pays what processes owed to containers that they held still, and did not live to pay: see `debts.ts`. */
import {rmSync} from 'node:fs';
import {dirname} from 'node:path';
import {isAlive} from '../binding/index.js';
import {thaw} from '../cgroup/index.js';
import type {CoracleError} from '../errors.js';
import {readRecord, withLock, writeRecord} from '../store/index.js';
import {Container} from './container.js';
import {wasStopped} from './container-files.js';
import {isUp} from './container-state.js';
import {bootId, type Debt, type Debts, isMoot, owedToContainer, whileHolding} from './debts.js';
import {runHook} from './hold-still.js';
import {containerEvent} from './record-events.js';
import {restartsAtBoot} from './restart-after-loss.js';
import type {Runtime} from './runtime.js';

/** What cannot be paid is told as a warning; a start is tried again by the next opening. */
export async function payAll(runtime: Runtime, lock: string, paths: readonly string[]): Promise<void> {
  try {
    await withLock(lock, () => payEach(runtime, paths), {timeoutMs: 10_000});
  } catch (error) {
    if ((error as CoracleError).code !== 'ERR_STORE_BUSY') throw error; // somebody else is at it, and waits for a command
  }
}

async function payEach(runtime: Runtime, paths: readonly string[]): Promise<void> {
  const boot = bootId();
  for (const path of paths) {
    const record = readRecord(path) as Debts | undefined;
    if (record === undefined || (record.boot === boot && isAlive(record.owner))) continue;
    const unpaid: Debt[] = [];
    for (const debt of record.debts.toReversed()) {
      try {
        if (debt.kind === 'thaw') await letGo(runtime, debt.id, dirname(path));
        else await pay(runtime, debt, record.boot === boot);
      } catch (error) {
        if (isMoot(error)) continue;
        if (debt.kind !== 'command') unpaid.unshift(debt);
        tell(runtime, debt, error);
      }
    }
    if (unpaid.length === 0) rmSync(path, {force: true});
    else writeRecord(path, {...record, debts: unpaid} satisfies Debts, {work: runtime.store.work});
  }
}

function tell(runtime: Runtime, {id, kind}: Debt, error: unknown): void {
  const name = runtime.findContainer(id)?.name ?? id;
  const what = {thaw: 'go on', start: 'be started again', command: 'be told to go on'}[kind];
  process.emitWarning(`container ${name}, held still once, could not ${what}: ${(error as Error).message}`, {
    code: 'CORACLE_HELD',
  });
}

/** Unless somebody who lives wants it to stand as well. */
async function letGo(runtime: Runtime, id: string, directory: string): Promise<void> {
  await whileHolding(runtime, async () => {
    const record = runtime.findContainer(id);
    if (record === undefined || runtime.stateOf(record).status !== 'paused') return;
    if (owedToContainer(directory, id).has('thaw')) return;
    await thaw(runtime.cgroupsOf(record));
    runtime.tell([containerEvent(record, 'unpause')]);
  });
}

async function pay(
  runtime: Runtime,
  debt: Exclude<Debt, {kind: 'thaw'}>,
  isSameBoot: boolean,
): Promise<void> {
  const record = runtime.findContainer(debt.id);
  if (record === undefined) return;
  const state = runtime.stateOf(record);
  const container = new Container(runtime, record);
  if (debt.kind === 'start') {
    // A boot would have ended it as well: then it runs if that would have started it.
    if (!isSameBoot && !restartsAtBoot(record, state, false)) return;
    const isEnding =
      isUp(state) && state.startedAt === debt.startedAt && wasStopped(runtime.placesOf(record).directory);
    if (isUp(state) && !isEnding) return;
    await container.stop();
    await container.startDetached();
  } else if (isSameBoot && state.status === 'running') {
    await runHook(container, 'after', debt.command, debt.deadlineMs);
  }
}
