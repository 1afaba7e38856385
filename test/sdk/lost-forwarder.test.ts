/**
 * Who holds a container's ports: ready before it is asked for, and ended with the spawner that made it.
 *
 * The one test lets a spawner be killed when it has made the process that holds a container's ports, and has not come back from the kernel to
 * say so: strace(1) keeps it there.
 */
import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {readFileSync} from 'node:fs';
import {ask, serveIn} from '../helpers/a-server.js';
import {nameOf, processesBelow} from '../helpers/host-footprint.js';
import {ownNetwork} from '../helpers/own-network.js';
import {ownRuntime} from '../helpers/own-runtime.js';
import {asRoot, requires} from '../helpers/requires.js';
import {kill, until} from '../helpers/world.js';

ownNetwork();
const own = ownRuntime();
const withStrace = process.getuid?.() === 0 ? requires('strace', 'strace') : asRoot;

withStrace.serial('who holds the ports ends, and is reaped, with the start that it was made for', async t => {
  await own.sh('true');
  const launcher = (await own.runtime).launcher().pid;
  const spawners = processesBelow(launcher).filter(pid => nameOf(pid) === 'coracle-spawn');
  const inject = ['-e', 'trace=clone', '-e', 'inject=clone:delay_exit=3600s'];
  const strace = spawn('strace', [...inject, ...spawners.map(pid => `-p${pid}`)], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const ended = once(strace, 'close');
  let said = '';
  strace.stderr.on('data', chunk => (said += chunk));
  await until('strace watches', () => said.match(/ attached/g)?.length === spawners.length);
  const failed = t.throwsAsync(
    own.run({
      command: ['sleep', '1000'],
      network: 'bridge',
      ports: [{containerPort: 80}],
      startDeadlineMs: 120_000,
    }),
  );
  await until('the ports are held', () => childrenOf(launcher).some(pid => nameOf(pid) === 'coracle-port'));
  for (const spawner of spawners) kill(spawner);
  strace.kill('SIGKILL'); // it would hold up their ends as well
  await failed;
  await ended;
  // The dead whom nobody has reaped are children, too.
  await until('it is reaped', () => !childrenOf(launcher).some(pid => nameOf(pid) === 'coracle-port'));
  await own.sh('true');
  t.pass();
});

// The kernel chooses which of the spawners starts the next, and each has its own.
asRoot.serial('after a start with ports, who shall hold those of a later one is there before it', async t => {
  const ports = [{containerPort: 80}];
  const first = await own.run({command: ['true'], network: 'bridge', ports});
  await first.settled;
  const launcher = (await own.runtime).launcher().pid;
  const waiting = () => childrenOf(launcher).filter(pid => nameOf(pid) === 'coracle-spare');
  await until('one waits', () => waiting().length > 0);
  const [ready] = waiting();

  let attempts = 0;
  while (ready !== undefined && nameOf(ready) === 'coracle-spare') {
    t.true(++attempts < 50);
    await using web = await serveIn(own.runtime, t, {network: 'bridge', ports});
    const {NetworkSettings} = await web.inspect();
    // What comes to ::1 is handed on by whoever holds the port.
    const port = Number(NetworkSettings.Ports['80/tcp']?.[0]?.HostPort);
    t.is(await ask('::1', port), 'who? echo: who?');
  }
  await until('it has ended with its container', () => !childrenOf(launcher).includes(ready as number));

  await until('another waits', () => waiting().length > 0);
  for (const spawner of processesBelow(launcher).filter(pid => nameOf(pid) === 'coracle-spawn'))
    kill(spawner);
  await until('it ends with its spawner', () => waiting().length === 0);
});

function childrenOf(pid: number): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').split(' ').filter(Boolean).map(Number);
}
