import {once} from 'node:events';
import {connect} from 'node:net';
import type {ExecutionContext} from 'ava';
import {Container, Image, type RunOptions, type Runtime} from '../../src/index.js';
import {textOf} from './own-runtime.js';

const images = new WeakMap<Runtime, Promise<Image>>();

/** A container whose server on port 80 answers what it is asked, on tcp and udp; `address?` with that of its client. */
export async function serveIn(opened: Runtime | Promise<Runtime>, t: ExecutionContext, options: RunOptions) {
  const runtime = await opened;
  const image =
    images.get(runtime) ?? Image.fromHost({name: 'node-worker', binaries: [process.execPath]}, {runtime});
  images.set(runtime, image);
  await image;
  const script = `
    require('net').createServer(s => s.once('data', d =>
      s.end(String(d) === 'address?' ? s.remoteAddress : d + ' echo: ' + d))).listen(80, '0.0.0.0', ready);
    const udp = require('dgram').createSocket('udp4');
    udp.on('message', (m, from) => {
      console.log(String(m));
      udp.send('echo: ' + m, from.port, from.address);
    });
    udp.bind(80, ready);
    let left = 2;
    function ready() { if (--left === 0) console.log('ready'); }
  `;
  const server = await Container.run(
    'node-worker',
    {
      ...options,
      command: [process.execPath, '-e', script],
      sysctls: {'net.ipv4.ip_unprivileged_port_start': '0'},
    },
    {runtime},
  );
  t.teardown(() => server[Symbol.asyncDispose]());
  await once(server.stdout!, 'data');
  return server;
}

export async function ask(address: string, port: number, question = 'who?'): Promise<string> {
  const socket = connect(port, address);
  socket.write(question);
  return textOf(socket);
}
