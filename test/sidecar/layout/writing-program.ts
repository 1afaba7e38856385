/**
 * Backs up without pause into the repository that it is given, forgets and prunes now and then, and says so: `begun`,
 * `made ID`, `forgetting ID`. For whoever kills it.
 */
import {randomBytes} from 'node:crypto';
import {backUp, KiB, open} from './repositories.js';

const [path] = process.argv.slice(2);
await using store = await open(path!, {create: false});
process.stdout.write('begun\n');
const shared = Buffer.alloc(KiB, 'the same each time');
let mine: string[] = [];
for (let count = 0; ; count++) {
  const chunks = Array.from({length: 1 + (count % 5)}, () => randomBytes((1 + (count % 3)) * 100 * KiB));
  const kept = [shared, ...chunks.slice(0, 1)];
  const first = await backUp(store, [...chunks, ...kept], {time: new Date().toISOString()});
  process.stdout.write(`made ${first.id}\n`);
  // Of the first a little is left, which a prune writes anew.
  const second = await backUp(store, kept, {parent: first.id, time: new Date().toISOString()});
  process.stdout.write(`made ${second.id}\n`);
  mine.push(first.id);
  if (count % 2 === 0) continue;
  for (const id of mine) process.stdout.write(`forgetting ${id}\n`);
  await store.forget(mine);
  mine = [];
  await store.prune().catch(expectBusy);
}

function expectBusy(error: {readonly code?: unknown}): void {
  if (error.code !== 'ERR_REPOSITORY_BUSY') throw error;
}
