import {execFileSync, spawn} from 'node:child_process';
import {readlinkSync} from 'node:fs';
import {createInterface} from 'node:readline';
import {setTimeout as sleep} from 'node:timers/promises';
import type {ExecutionContext} from 'ava';

const SERVER = `
  const [port, address] = process.argv.slice(1);
  const server = require('net').createServer(s => { console.log(s.remoteAddress); s.end('served'); });
  server.listen(port, address, () => console.log('listening'));
`;

const ASK = `
  const [address, port, question] = process.argv.slice(1);
  const socket = require('net').connect({host: address, port}, () => socket.write(question));
  const nobody = () => { console.log('nobody'); process.exit(); };
  socket.setTimeout(1000, nobody).on('error', nobody).on('data', data => process.stdout.write(data));
  socket.on('end', () => process.exit());
`;

let neighbours = 0;

/** Another host, at the other end of a cable. Needs iproute2. @param prefix6 of its addresses of IPv6: `fd00:9` */
export async function aNeighbour(t: ExecutionContext, prefix6 = '') {
  const number = ++neighbours;
  const [us, them, link] = [`10.9.${number}.1`, `10.9.${number}.2`, `cable${number}`];
  const holder = spawn('unshare', ['--net', 'sleep', '1000'], {stdio: 'ignore'});
  t.teardown(() => holder.kill('SIGKILL'));
  const own = readlinkSync('/proc/thread-self/ns/net');
  while (readlinkSync(`/proc/${holder.pid}/ns/net`) === own) await sleep(5);
  const ip = (...args: string[]) => execFileSync('ip', args, {stdio: 'pipe'});
  ip('link', 'add', link, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', String(holder.pid));
  ip('address', 'add', `${us}/24`, 'dev', link);
  ip('link', 'set', link, 'up');
  const run = (...args: string[]) =>
    execFileSync('nsenter', ['-t', String(holder.pid), '-n', ...args], {encoding: 'utf8'}).trim();
  run('ip', 'link', 'set', 'lo', 'up');
  run('ip', 'address', 'add', `${them}/24`, 'dev', 'eth0');
  run('ip', 'link', 'set', 'eth0', 'up');
  const [us6, them6] = [`${prefix6}:${number}::1`, `${prefix6}:${number}::2`];
  if (prefix6 !== '') {
    ip('-6', 'address', 'add', `${us6}/64`, 'dev', link, 'nodad');
    run('ip', '-6', 'address', 'add', `${them6}/64`, 'dev', 'eth0', 'nodad');
  }
  /** Says `served` to whoever connects. @returns who was the first to, once somebody was */
  const serve = async (port: number, address = them) => {
    const server = spawn(
      'nsenter',
      ['-t', String(holder.pid), '-n', process.execPath, '-e', SERVER, String(port), address],
      {stdio: ['ignore', 'pipe', 'inherit']},
    );
    t.teardown(() => server.kill('SIGKILL'));
    const lines = createInterface(server.stdout)[Symbol.asyncIterator]();
    await lines.next(); // it listens
    return async () => (await lines.next()).value as string;
  };
  /** `nobody`, should nobody answer. */
  const ask = (address: string, port: number, question = 'who?') =>
    run(process.execPath, '-e', ASK, address, String(port), question);
  return {us, them, us6, them6, link, run, ask, serve};
}
