/**
 * What lost its monitor and is to run again does, whoever dies over it: the command that opens the store, its launcher or the new
 * monitor, killed at each of the system calls by which they change files, make processes or talk. strace(1) tells first which calls
 * there are; for want of time only some of them are tried, all of them with CORACLE_TEST_LONG.
 */
import {execFile, spawn} from 'node:child_process';
import {once} from 'node:events';
import {mkdtempSync, readdirSync, readFileSync, readlinkSync, realpathSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {setTimeout as sleep} from 'node:timers/promises';
import {fileURLToPath} from 'node:url';
import test from 'ava';
import {childrenOf, isRunning} from '../helpers/host-footprint.js';
import {asRoot, requires} from '../helpers/requires.js';

const LONG = process.env['CORACLE_TEST_LONG'] !== undefined;
const CORACLE = fileURLToPath(new URL('../../bin/coracle.cjs', import.meta.url));
const withStrace = process.getuid?.() === 0 ? requires('strace', 'strace') : asRoot;
const CALLS = 'unlink,unlinkat,rmdir,rename,renameat,renameat2,sendmsg,sendto,clone,clone3,fork,vfork';

const folder = mkdtempSync(join(tmpdir(), 'coracle-test-'));
const root = join(folder, 'root');
const env = {...process.env, CORACLE_ROOT: root, CORACLE_RUN: join(folder, 'run')};
test.after.always(() => rmSync(folder, {recursive: true, force: true}));

withStrace.serial('whoever is killed while it is started again, the next open starts it', async t => {
  t.timeout(LONG ? 3_600_000 : 120_000);
  await coracle('image', 'from-host', 'shell', 'sleep');
  const id = (
    await coracle('run', '-d', '--name', 'keeper', '--restart', 'always', 'shell', 'sleep', '1000')
  ).trim();
  const points = await record(id);
  t.true(points.length > 30, `${points.length} calls`);
  const stride = LONG ? 1 : Math.ceil(points.length / 6);
  const chosen = points.filter((_, index) => index % stride === Math.floor(stride / 2));
  for (const [call, count] of chosen) {
    await loseMonitor(id);
    await traced(
      '-f',
      '-o',
      '/dev/null',
      '-e',
      `trace=${call}`,
      '-e',
      `inject=${call}:signal=KILL:when=${count}`,
    );
    await coracle('ps', '--all');
    const state = await coracle('inspect', '--format', '{{.State.Status}} {{.RestartCount}}', 'keeper');
    t.regex(state, /^running /, `${call} ${count}`);
  }
  t.log(`${chosen.length} of ${points.length} calls`);
  await coracle('rm', '--force', 'keeper');
});

async function loseMonitor(id: string): Promise<void> {
  const monitor = Number(readFileSync(join(root, 'containers', id, 'watcher'), 'latin1').split(' ')[0]);
  process.kill(monitor, 'SIGKILL');
  while (isRunning(monitor)) await sleep(1);
}

/** The n-th call of its name that one process makes. */
async function record(id: string): Promise<readonly (readonly [call: string, count: number])[]> {
  await loseMonitor(id);
  const calls = mkdtempSync(join(folder, 'calls-'));
  await traced('-ff', '-e', `trace=${CALLS}`, '-o', join(calls, 'calls'));
  const points = new Map<string, readonly [string, number]>();
  for (const name of readdirSync(calls)) {
    const counts = new Map<string, number>();
    for (const [, call] of readFileSync(join(calls, name), 'latin1').matchAll(/^(\w+)\(/gm)) {
      const count = (counts.get(call!) ?? 0) + 1;
      counts.set(call!, count);
      points.set(`${call} ${count}`, [call!, count]);
    }
  }
  return [...points.values()];
}

/** A command that opens the store, and nothing else. The monitors that it leaves live on, without strace. */
async function traced(...options: readonly string[]): Promise<void> {
  const words = ['-I', '2', ...options, process.execPath, CORACLE, 'ps'];
  const strace = spawn('strace', words, {env, stdio: 'ignore'});
  const ended = once(strace, 'exit');
  // Before that it forks to see what the kernel can do.
  const node = () => childrenOf(strace.pid!).find(pid => programOf(pid) === realpathSync(process.execPath));
  let command = node();
  for (; command === undefined && strace.exitCode === null; command = node()) await sleep(1);
  while (command !== undefined && isRunning(command)) await sleep(1);
  strace.kill('SIGINT');
  const stuck = setTimeout(() => strace.kill('SIGKILL'), 1000); // a thread that died in clone(2) may keep it waiting
  await ended;
  clearTimeout(stuck);
}

function programOf(pid: number): string {
  try {
    return readlinkSync(`/proc/${pid}/exe`);
  } catch {
    return ''; // gone
  }
}

function coracle(...words: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(process.execPath, [CORACLE, ...words], {env}, (error, stdout, stderr) => {
      if (error) reject(new Error(`${words.join(' ')}: ${stderr}`));
      else resolve(stdout);
    });
  });
}
