import {execFile} from 'node:child_process';
import {readFileSync} from 'node:fs';
import {fileURLToPath} from 'node:url';
import {promisify} from 'node:util';
import {Network} from '../../src/index.js';
import {serveIn} from '../helpers/a-server.js';
import {assertNothingLeft, hostFootprint} from '../helpers/host-footprint.js';
import {ownNetwork} from '../helpers/own-network.js';
import {ownRuntime} from '../helpers/own-runtime.js';
import {asRoot} from '../helpers/requires.js';

ownNetwork();
const own = ownRuntime();
const COUNT = process.env['CORACLE_TEST_LONG'] === undefined ? 32 : 500;
const PROCESSES = 4;
const program = fileURLToPath(new URL('../helpers/address-program.ts', import.meta.url));

interface Lease {
  readonly id: string;
  readonly address: string;
  readonly mac: string;
  readonly answer: string;
  readonly up: string;
  readonly down: string;
}

asRoot(
  `${COUNT} containers come and go in four processes: no address is two at once, names resolve, nothing is left`,
  async t => {
    const runtime = await own.runtime;
    await Network.create('many', {}, {runtime});
    const first = await serveIn(runtime, t, {network: 'many', name: 'anchor'});
    const before = {footprint: hostFootprint(own.folder), links: links()};
    const outputs = await Promise.all(
      Array.from({length: PROCESSES}, () =>
        promisify(execFile)(
          process.execPath,
          ['--import=tsx', program, own.root, own.runDirectory, 'many', String(COUNT / PROCESSES)],
          {maxBuffer: 2 ** 26},
        ),
      ),
    );
    const leases = outputs.flatMap(({stdout}) =>
      stdout
        .trim()
        .split('\n')
        .map(line => JSON.parse(line) as Lease),
    );
    t.true(leases.length >= COUNT);
    t.is(new Set(leases.map(({id}) => id)).size, leases.length);
    for (const [i, one] of leases.entries()) {
      t.regex(one.address, /^172\.\d+\.\d+\.\d+$/);
      t.is(one.answer, 'who? echo: who?');
      for (const other of leases.slice(i + 1)) {
        const overlap = BigInt(one.up) < BigInt(other.down) && BigInt(other.up) < BigInt(one.down);
        t.false(overlap && (one.address === other.address || one.mac === other.mac), `${one.id} ${other.id}`);
      }
    }
    t.deepEqual(
      runtime.networks.holders('many').map(({containerId}) => containerId),
      [first.id],
    );
    await assertNothingLeft(t, own.folder, before.footprint);
    t.deepEqual(links(), before.links);
    await first[Symbol.asyncDispose]();
  },
);

function links(): string[] {
  return readFileSync('/proc/net/dev', 'latin1')
    .split('\n')
    .slice(2)
    .map(line => line.split(':')[0]!.trim())
    .sort();
}
