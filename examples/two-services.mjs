// Two services on a network of their own: one finds the other by its name, and nobody else does. Needs root.
// Run: node examples/two-services.mjs
import {Container, Image, Network, Runtime} from 'coracle';

const runtime = await Runtime.open();
const here = {runtime};
await Image.fromHost({name: 'node-worker', binaries: [process.execPath]}, here);
const script = source => [process.execPath, '-e', source];
const network = await Network.create(`example-${process.pid}`, {labels: {example: 'two-services'}}, here);
try {
  const server = await Container.run(
    'node-worker',
    {
      networks: [{network: network.name, aliases: ['greeter']}],
      command: script(
        `require('http').createServer((q, a) => a.end('hello, ' + q.url.slice(1) + '\\n')).listen(80, () => console.log('ready'))`,
      ),
    },
    here,
  );
  await server.waitFor({log: 'ready'});
  const client = await Container.run(
    'node-worker',
    {
      network: network.name,
      command: script(
        `fetch('http://greeter/sailor').then(a => a.text()).then(t => process.stdout.write(t))`,
      ),
    },
    here,
  );
  for await (const {stream, bytes} of client.output()) process[stream].write(bytes);
  await client.exit;
  await server[Symbol.asyncDispose]();
} finally {
  await network.remove();
  await runtime.close();
}
