import {mkdtempSync, readFileSync} from 'node:fs';
import {rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import test from 'ava';
import {runCommandLine} from '../../src/cli/main.js';
import {openSdk} from '../../src/cli/open-sdk.js';
import {Container, Image, Runtime} from '../../src/index.js';
import {asRoot} from '../helpers/requires.js';
import {command} from './recording-sdk.js';

interface Recorded {
  readonly args: readonly string[];
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

const recorded: readonly Recorded[] = readFileSync(
  new URL('../fixtures/docker/update.jsonl', import.meta.url),
  'utf8',
)
  .trim()
  .split('\n')
  .map(line => JSON.parse(line));

/** Where ours differs on purpose. */
const DIFFERENT: Readonly<Record<string, string>> = {
  'update --cpu-shares 1 web': 'refused before anything is tried, without words of runc',
  'update --cpu-shares -1 web': 'the same',
  'update --cpu-shares 262145 web': 'the same',
  'update --blkio-weight 5 web':
    'a limit that this host cannot enforce, or that is out of range, is an error',
};

/** Ids, and what runc puts around the kernel's answer. */
function comparable(text: string): string {
  return text
    .replaceAll('coracle', 'docker')
    .replaceAll(/[a-f0-9]{64}/g, 'ID')
    .replaceAll(/runc did not terminate successfully: exit status 1: (.*)\n: unknown/g, '$1')
    .replaceAll(/write \/sys\/fs\/cgroup\/memory\/\w+\/ID/g, 'write CGROUP');
}

asRoot('what docker answers to update, in an hour with four containers', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'coracle-test-'));
  const runtime = await Runtime.open({root: join(folder, 'root'), waiting: 0});
  await (await Image.hostShell({runtime})).tag('record/busybox:1.35');
  t.teardown(async () => {
    for (const container of await Container.list({runtime})) await container[Symbol.asyncDispose]();
    await runtime.close();
    await rm(folder, {recursive: true, force: true});
  });
  const hasSwap = runtime.facts.cgroups
    .capabilities()
    .some(({controller, available}) => controller === 'swap' && available);
  const isV1 = runtime.facts.cgroups.layout !== 'v2';
  for (const {args, exitCode, stdout, stderr} of recorded) {
    const line = args.join(' ');
    const isOfKernel = stderr.includes('invalid argument\n: unknown') && !isV1;
    if (line in DIFFERENT || isOfKernel || (line.includes('memory') && !hasSwap)) continue;
    const ours = await carryOut(args, join(folder, 'root'));
    const both = [ours, {exitCode, stdout, stderr}].map(said => ({
      exitCode: said.exitCode,
      stdout: comparable(said.stdout),
      stderr: comparable(said.stderr),
    }));
    t.deepEqual(both[0], both[1], line);
  }
});

/** One command line, on a store of its own. */
async function carryOut(args: readonly string[], root: string): Promise<Omit<Recorded, 'args'>> {
  const written = {stdout: '', stderr: ''};
  const output = (name: 'stdout' | 'stderr') => ({
    columns: 80,
    write: (chunk: string | Uint8Array) => {
      written[name] += Buffer.from(chunk).toString();
      return true;
    },
  });
  const exitCode = await runCommandLine(args, {
    env: {},
    directory: '/',
    stdin: Object.assign(process.stdin, {isTTY: false}),
    stdout: output('stdout'),
    stderr: output('stderr'),
    terminal: () => undefined,
    now: () => Date.now(),
    onSignal: () => () => {},
    openSdk: () => openSdk({root}),
  });
  return {exitCode, ...written};
}

test('names, flags and warnings', async t => {
  const {asked, stdout} = await command(
    [
      'update',
      '-m',
      '64m',
      '--memory-swap',
      '-1',
      '--cpus',
      '.5',
      '--pids-limit',
      '0',
      '--restart',
      'on-failure:2',
      'web',
      'db',
    ],
    {update: async name => (name === 'db' ? ['cpus is not enforced: no'] : [])},
  );
  const options = {
    limits: {memoryBytes: 64 * 2 ** 20, memorySwapBytes: -1, cpus: 0.5, processes: 0},
    restart: {name: 'on-failure', maximumRetries: 2},
  };
  t.deepEqual(asked, [
    ['update', 'web', options],
    ['update', 'db', options],
  ] as never);
  t.is(stdout, 'web\ndb\ncpus is not enforced: no\n');
});

test('limits that the kernel has no more are refused by name', async t => {
  for (const flag of ['--kernel-memory', '--cpu-rt-period', '--cpu-rt-runtime']) {
    const {exitCode, stderr, asked} = await command(['update', flag, '1000', 'web']);
    t.is(exitCode, 1);
    t.regex(stderr, new RegExp(`^${flag} is not supported by this release: the kernel has no such limit`));
    t.deepEqual(asked, []);
  }
});
