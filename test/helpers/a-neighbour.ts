import {execFileSync, spawn} from 'node:child_process';
import {readlinkSync} from 'node:fs';
import {setTimeout as sleep} from 'node:timers/promises';
import type {ExecutionContext} from 'ava';

let neighbours = 0;

/** Another host, at the other end of a cable. Needs iproute2. */
export async function aNeighbour(t: ExecutionContext) {
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
  /** `nobody`, should nobody answer. */
  const ask = (address: string, port: number, question = 'who?') =>
    run(process.execPath, '-e', ASK, address, String(port), question);
  return {us, them, link, run, ask};
}

const ASK = `
  const [address, port, question] = process.argv.slice(1);
  const socket = require('net').connect({host: address, port}, () => socket.write(question));
  const nobody = () => { console.log('nobody'); process.exit(); };
  socket.setTimeout(1000, nobody).on('error', nobody).on('data', data => process.stdout.write(data));
  socket.on('end', () => process.exit());
`;
