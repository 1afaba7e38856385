/**
 * A program that hosts containers on networks, to be killed: on the default bridge and on one of its own, with published
 * ports, attached and detached, connected and disconnected, until it dies. Arguments: the root and the run-time
 * directory. Prints a line once the network is there.
 */
import {Container, Network, Runtime} from '../../src/index.js';

const [root, run] = process.argv.slice(2);
const runtime = await Runtime.open({root: root!, run: run!, waiting: 0});
const call = {runtime};
const networks = await Network.list(call);
const own =
  networks.find(({name}) => name === 'own') ??
  (await Network.create('own', {subnets: [{subnet: '10.50.0.0/24'}, {subnet: 'fd00:50::/64'}]}, call));
const ports = [{containerPort: 80}];

async function keepStarting(): Promise<void> {
  for (;;) {
    const short = await Container.run('host-shell', {command: ['true'], network: 'bridge', ports}, call);
    const long = await Container.run('host-shell', {command: ['sleep', '60'], network: 'own', ports}, call);
    await short.exit;
    await long[Symbol.asyncDispose]();
  }
}

async function keepMoving(): Promise<void> {
  for (;;) {
    const options = {command: ['sleep', '60'], network: 'own', ports, restart: {name: 'always'}} as const;
    const stays = await Container.runDetached('host-shell', options, call);
    const bridge = await Network.get('bridge', call);
    await bridge.connect(stays.id);
    await own.disconnect(stays.id);
    await stays.remove({force: true});
  }
}

const busy = [keepStarting(), keepMoving()];
console.log('busy');
await Promise.all(busy);
