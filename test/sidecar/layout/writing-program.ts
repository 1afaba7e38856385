/** Backs up without pause into the repository that it is given, and says so: `begun`, `made ID`. For whoever kills it. */
import {randomBytes} from 'node:crypto';
import {backUp, KiB, keyed, open} from './repositories.js';

const [path, withKey] = process.argv.slice(2);
await using store = await open(path!, {...(withKey === 'keyed' && keyed), create: false});
process.stdout.write('begun\n');
for (let count = 0; ; count++) {
  const chunks = Array.from({length: 1 + (count % 5)}, () => randomBytes((1 + (count % 3)) * 100 * KiB));
  const {id} = await backUp(store, [...chunks, Buffer.alloc(KiB, 'the same each time')], {
    time: new Date().toISOString(),
  });
  process.stdout.write(`made ${id}\n`);
}
