import {readdirSync, readFileSync} from 'node:fs';
import {Floor} from '../../benchmarks/floor.js';
import {OPTIONS} from '../../benchmarks/isolation.js';
import {ownRuntime} from '../helpers/own-runtime.js';
import {asRoot} from '../helpers/requires.js';

const own = ownRuntime();

asRoot.serial('the floor program lives whole lives of a compiled plan and leaves nothing behind', async t => {
  await own.runtime;
  const mounts = () =>
    // the own: other suites mount at the same time
    readFileSync('/proc/self/mountinfo', 'latin1')
      .split('\n')
      .filter(line => line.includes(own.folder));
  const before = mounts();
  const floor = new Floor(own.root, 'host-shell', false, {...OPTIONS, command: ['true']});
  for (let life = 0; life < 3; life++) {
    const {startMs, lifeMs, removedMs} = await floor.once();
    t.true(0 < startMs && startMs < lifeMs && lifeMs < removedMs);
  }
  await floor[Symbol.asyncDispose]();
  t.deepEqual(readdirSync(`${own.root}/containers`), []);
  t.deepEqual(readdirSync(`${own.root}/names`), []);
  t.deepEqual(mounts(), before);
});
