/**
 * Starts and stops containers on a network, several at once, each of which asks the server `anchor` something; and prints a
 * line of JSON for each: its address, what it was answered, and the nanoseconds of the kernel's clock between which it was
 * there. Arguments: root, run-time directory, network, how many.
 */
import {once} from 'node:events';
import {Container, Runtime} from '../../src/index.js';

const [root, run, network, count] = process.argv.slice(2);
const runtime = await Runtime.open({root: root!, run: run!});
const ASK = 'exec 3<>/dev/tcp/anchor/80; printf who? >&3; cat <&3; echo; exec sleep 60';
const options = {network: network!, command: ['bash', '-c', ASK]} as const;

async function keepStarting(times: number): Promise<void> {
  for (let i = 0; i < times; i++) {
    // Every other one has a monitor, which gives the address back.
    const attached = i % 2 === 0 ? await Container.run('host-shell', options, {runtime}) : undefined;
    const container =
      attached ?? (await Container.runDetached('host-shell', {...options, autoRemove: true}, {runtime}));
    const up = process.hrtime.bigint();
    const {IPAddress: address, MacAddress: mac} = (await container.inspect()).NetworkSettings.Networks[
      network!
    ]!;
    const answer =
      attached === undefined ? await logged(container) : String((await once(attached.stdout!, 'data'))[0]);
    const down = process.hrtime.bigint();
    const lease = {id: container.id, address, mac, answer: answer.trim(), up: String(up), down: String(down)};
    console.log(JSON.stringify(lease));
    await container.remove({force: true});
  }
}

async function logged(container: Container): Promise<string> {
  for await (const {bytes} of container.logs({follow: true})) return Buffer.from(bytes).toString();
  return '';
}

const AT_ONCE = 5;
await Promise.all(Array.from({length: AT_ONCE}, () => keepStarting(Math.ceil(Number(count) / AT_ONCE))));
await runtime.close();
