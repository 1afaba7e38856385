/**
 * Starts and stops containers on the bridge, several at once, and prints a line of JSON for each: its address, and the
 * nanoseconds of the kernel's clock between which it had it. Arguments: root, run-time directory, how many.
 */
import {Container, Runtime} from '../../src/index.js';

const [root, run, count] = process.argv.slice(2);
const runtime = await Runtime.open({root: root!, run: run!});
const options = {network: 'bridge', command: ['sleep', '60']} as const;

async function keepStarting(times: number): Promise<void> {
  for (let i = 0; i < times; i++) {
    // Every other one has a monitor, which gives the address back.
    const container =
      i % 2 === 0
        ? await Container.run('host-shell', options, {runtime})
        : await Container.runDetached('host-shell', {...options, autoRemove: true}, {runtime});
    const up = process.hrtime.bigint();
    const {IPAddress: address, MacAddress: mac} = (await container.inspect()).NetworkSettings;
    const down = process.hrtime.bigint();
    console.log(JSON.stringify({id: container.id, address, mac, up: String(up), down: String(down)}));
    await container.remove({force: true});
  }
}

const AT_ONCE = 5;
await Promise.all(Array.from({length: AT_ONCE}, () => keepStarting(Math.ceil(Number(count) / AT_ONCE))));
await runtime.close();
