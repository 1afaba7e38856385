import {setTimeout as sleep} from 'node:timers/promises';
import {ownNetwork} from '../helpers/own-network.js';
import {ownRuntime, textOf} from '../helpers/own-runtime.js';
import {asRoot} from '../helpers/requires.js';

ownNetwork();
const own = ownRuntime(1);
const bridge = {network: 'bridge'} as const;

/** Runs something twice, so that the next such container finds its surroundings ready. */
async function getReady(): Promise<void> {
  const {pool} = await own.runtime;
  for (let round = 0; round < 2; round++) await (await own.start('true', bridge)).settled;
  while (pool.waiting === 0) await sleep(2);
}

asRoot.serial('what waits for a container on the bridge has its place there already', async t => {
  const {pool, networks} = await own.runtime;
  await getReady();
  const held = networks.holders('bridge')[0]!;
  const container = await own.start('cat /etc/hosts /proc/net/route; read wait', {...bridge, stdin: 'pipe'});
  t.is(pool.waiting, 0, 'it was taken');
  const {NetworkSettings} = await container.inspect();
  t.is(container.id, held.containerId);
  t.is(NetworkSettings.IPAddress, held.address);
  container.stdin!.end();
  const output = await textOf(container.stdout!);
  t.regex(output, new RegExp(`^${held.address}\\t${container.id.slice(0, 12)}$`, 'm'));
  t.regex(output, /^eth0\t00000000\t0100[0-9A-F]{2}AC\t/m);
  await container.settled;
  t.false(networks.holders('bridge').some(({containerId}) => containerId === container.id));
});

asRoot.serial('nobody can have a published port while it only waits: such containers never do', async t => {
  const {pool} = await own.runtime;
  pool.drop();
  const options = {...bridge, ports: [{containerPort: 80}]} as const;
  for (let round = 0; round < 3; round++) await (await own.start('true', options)).settled;
  await sleep(50);
  t.is(pool.waiting, 0);
});

asRoot.serial('given up, it gives its address back; so it does when it is lost', async t => {
  const {pool, networks} = await own.runtime;
  const untilFree = async () => {
    for (let waited = 0; waited < 5000 && networks.holders('bridge').length > 0; waited += 5) await sleep(5);
    return networks.holders('bridge');
  };
  await getReady();
  t.is(networks.holders('bridge').length, 1);
  pool.drop();
  t.deepEqual(await untilFree(), []);

  await getReady();
  process.kill((await own.runtime).launcher().pid, 'SIGKILL');
  t.deepEqual(await untilFree(), []);
});
