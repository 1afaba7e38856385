import {ownNetwork} from '../helpers/own-network.js';
import {ownRuntime} from '../helpers/own-runtime.js';
import {asRoot} from '../helpers/requires.js';

ownNetwork();
const own = ownRuntime();

asRoot('a start that fails gives its address back at once, whoever was to watch over it', async t => {
  const runtime = await own.runtime;
  const options = {network: 'bridge', command: ['/no/such/program']} as const;
  const [kept, detached] = [await own.create(options), await own.create(options)];
  const restarted = await own.create({...options, restart: {name: 'always'}});
  for (const start of [
    () => own.run(options),
    () => kept.start(),
    () => detached.startDetached(),
    () => restarted.startDetached(),
  ]) {
    await t.throwsAsync(start, {code: 'ERR_COMMAND_NOT_FOUND'});
    t.deepEqual(runtime.networks.holders('bridge'), []);
  }
});
