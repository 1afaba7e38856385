import {type ChildProcess, execFileSync, spawn} from 'node:child_process';
import {once} from 'node:events';
import {existsSync, readdirSync, readFileSync} from 'node:fs';
import {join} from 'node:path';
import {setTimeout as sleep} from 'node:timers/promises';
import {fileURLToPath} from 'node:url';
import type {ExecutionContext} from 'ava';
import {Container, Network, Runtime} from '../../src/index.js';
import {isRunning, nameOf, processesBelow} from '../helpers/host-footprint.js';
import {ownNetwork} from '../helpers/own-network.js';
import {ownRuntime} from '../helpers/own-runtime.js';
import {requiresAsRoot} from '../helpers/requires.js';

ownNetwork();
const own = ownRuntime();
const withNft = requiresAsRoot('/usr/sbin/nft', 'nftables');
const ROUNDS = process.env['CORACLE_TEST_LONG'] === undefined ? 3 : 40;

for (const [who, victims] of [
  ['a program', () => []],
  ['a program and all processes of its launcher', (pid: number) => launched(pid)],
  ['a program and the monitors of its containers', () => monitors()],
] as const) {
  withNft.serial(
    `${who}, killed at any moment, leave no link, rule, address or name on the host (${ROUNDS} rounds)`,
    async t => {
      t.timeout(300_000);
      await (await own.runtime).close();
      for (let round = 0; round < ROUNDS; round++) {
        const program = await startProgram();
        await sleep(Math.random() * 400);
        const processes = processesBelow(program.pid!);
        for (const pid of victims(program.pid!)) killIfThere(pid);
        program.kill('SIGKILL');
        await once(program, 'exit');
        for (const pid of processes.filter(pid => !isMonitor(pid)))
          for (let waited = 0; isRunning(pid) && waited < 10_000; waited += 10) await sleep(10);
        await reopenAndSweep();
        await assertNothingLeft(t, `round ${round}`);
      }
    },
  );
}

withNft.serial(
  'a bridge whose rules are gone and whose container was lost is removed all the same',
  async t => {
    const runtime = await open();
    const name = 'half-made';
    await Network.create(name, {subnets: [{subnet: '10.51.0.0/24'}]}, {runtime});
    await runtime.close();
    const made = await open();
    const container = await Container.run(
      'host-shell',
      {network: name, command: ['cat'], stdin: 'pipe'},
      {runtime: made},
    );
    t.true(links().includes('cor-0a330000'));
    execFileSync('/usr/sbin/nft', ['delete', 'table', 'ip', 'cor-0a330000']);
    process.kill(made.launcher().pid, 'SIGKILL');
    await t.throwsAsync(container.exit, {code: 'ERR_LAUNCHER_LOST'});
    await made.close();
    await reopenAndSweep();
    await assertNothingLeft(t, 'half made');
  },
);

withNft.serial('a link of the same name that somebody else has made by then is left alone', async t => {
  const runtime = await open();
  await Network.create('not-ours', {subnets: [{subnet: '10.52.0.0/24'}]}, {runtime});
  const container = await Container.run(
    'host-shell',
    {network: 'not-ours', command: ['cat'], stdin: 'pipe'},
    {runtime},
  );
  execFileSync('ip', ['link', 'del', 'cor-0a340000']);
  execFileSync('ip', ['link', 'add', 'cor-0a340000', 'type', 'bridge']);
  t.teardown(() => execFileSync('ip', ['link', 'del', 'cor-0a340000']));
  await container[Symbol.asyncDispose]();
  await runtime.close();
  t.true(links().includes('cor-0a340000'));
  const again = await open();
  await t.throwsAsync(
    Container.run('host-shell', {network: 'not-ours', command: ['true']}, {runtime: again}),
    {
      code: 'ERR_NETWORK_UNAVAILABLE',
      message: /another bridge has its name/,
    },
  );
  await again.close();
  t.true(links().includes('cor-0a340000'));
  execFileSync('/usr/sbin/nft', ['flush', 'ruleset']);
});

let liveDirectory = '';

function open(): Promise<Runtime> {
  return Runtime.open({root: own.root, run: own.runDirectory, waiting: 0});
}

async function startProgram(): Promise<ChildProcess> {
  const path = fileURLToPath(new URL('../helpers/networked-program.ts', import.meta.url));
  const program = spawn(process.execPath, ['--import=tsx', path, own.root, own.runDirectory], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(program.stdout, 'data');
  return program;
}

/** What the next user of the store does: opens it, which repairs, and removes what stayed. */
async function reopenAndSweep(): Promise<void> {
  const runtime = await open();
  liveDirectory = runtime.store.live;
  for (const container of await Container.list({runtime})) await container[Symbol.asyncDispose]();
  await runtime.close();
}

/** A link ends with the namespace that its other end is in, which a worker of the kernel takes down when it comes to it. */
async function assertNothingLeft(t: ExecutionContext, when: string): Promise<void> {
  for (let waited = 0; ownLinks().length > 0 && waited < 10_000; waited += 50) await sleep(50);
  t.deepEqual(ownLinks(), [], when);
  t.notRegex(execFileSync('/usr/sbin/nft', ['list', 'ruleset'], {encoding: 'utf8'}), /cor-/, when);
  const live = join(liveDirectory, 'networks');
  t.true(existsSync(live));
  for (const network of existsSync(live) ? readdirSync(live) : [])
    for (const what of ['addresses', 'names', 'pointers', 'state.json'])
      t.false(existsSync(join(live, network, what)), `${when}: ${network}/${what}`);
}

function ownLinks(): string[] {
  return links().filter(name => name !== 'lo' && !name.startsWith('tunl') && !name.startsWith('sit'));
}

function links(): string[] {
  return readFileSync('/proc/net/dev', 'latin1')
    .split('\n')
    .slice(2)
    .flatMap(line => line.split(':')[0]!.trim() || []);
}

function launched(pid: number): readonly number[] {
  return processesBelow(pid).filter(child => nameOf(child).startsWith('coracle-') && !isMonitor(child));
}

/** As the containers' directories name them. */
function monitors(): readonly number[] {
  const containers = join(own.root, 'containers');
  return readdirSync(containers).flatMap(id => {
    const path = join(containers, id, 'watcher');
    const pid = existsSync(path) ? Number(readFileSync(path, 'latin1').split(' ')[0]) : 0;
    return isMonitor(pid) ? [pid] : [];
  });
}

function isMonitor(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'latin1').startsWith('coracle-mon');
  } catch {
    return false;
  }
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // it ended by itself
  }
}
