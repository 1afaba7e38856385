import {mkdtempSync, readFileSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import test from 'ava';
import type {Sdk} from '../../src/cli/sdk.js';
import {CoracleError} from '../../src/errors.js';
import {command} from './recording-sdk.js';

const ID = 'c'.repeat(64);

test('run --detach prints the id, and start, restart the names', async t => {
  const sdk: Partial<Sdk> = {
    runDetached: async (_image, _options, onCreated) => {
      onCreated(ID);
      return ['cpus is not enforced'];
    },
    startDetached: async () => [],
    restart: async () => {},
  };
  const run = await command(['run', '-d', '--restart', 'on-failure:3', 'job'], sdk);
  t.like(run, {exitCode: 0, stdout: `${ID}\n`, stderr: 'WARNING: cpus is not enforced\n'});
  t.like(run.asked[0]![2], {restart: {name: 'on-failure', maximumRetries: 3}});
  t.like(await command(['start', 'a', 'b'], sdk), {exitCode: 0, stdout: 'a\nb\n'});
  const restart = await command(['restart', '-t', '2', 'a'], sdk);
  t.like(restart, {exitCode: 0, stdout: 'a\n'});
  t.deepEqual(restart.asked[0], ['restart', 'a', {timeoutMs: 2000}]);
});

test('a start that fails leaves an id on stdout and in --cidfile, by which the container is found', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'coracle-test-'));
  t.teardown(() => rmSync(folder, {recursive: true}));
  const fail = async (onCreated: ((id: string) => void) | undefined): Promise<never> => {
    onCreated?.(ID);
    throw new CoracleError('ERR_PORT_IN_USE', 'Bind for 0.0.0.0:80 failed: port is already allocated');
  };
  const sdk: Partial<Sdk> = {
    runDetached: (_image, _options, onCreated) => fail(onCreated),
    runAttached: (_image, _options, _streams, onCreated) => fail(onCreated),
  };
  const run = (...flags: string[]) => command(['run', ...flags, '-p', '80:80', 'job'], sdk);
  t.like(await run('-d', '--cidfile', join(folder, 'detached')), {exitCode: 125, stdout: `${ID}\n`});
  t.is(readFileSync(join(folder, 'detached'), 'utf8'), ID);
  t.like(await run('--cidfile', join(folder, 'attached')), {exitCode: 125, stdout: ''});
  t.is(readFileSync(join(folder, 'attached'), 'utf8'), ID);
});

test('run --detach prints nothing of a container that could not be made', async t => {
  const runDetached = () => Promise.reject(new CoracleError('ERR_NAME_IN_USE', 'Conflict.'));
  t.like(await command(['run', '-d', 'job'], {runDetached}), {exitCode: 125, stdout: ''});
});

test('log options are handed on as docker names them', async t => {
  const sdk: Partial<Sdk> = {runDetached: async () => []};
  const run = await command(['run', '-d', '--log-driver', 'local', '--log-opt', 'max-size=1m', 'job'], sdk);
  t.like(run.asked[0]![2], {log: {driver: 'local', options: {'max-size': '1m'}}});
  const alone = await command(['run', '-d', '--log-opt', 'tag={{.ID}}', 'job'], sdk);
  t.like(alone.asked[0]![2], {log: {driver: 'json-file', options: {tag: '{{.ID}}'}}});
});

test('what goes to the journal goes there by a monitor, also of a container that removes itself', async t => {
  const refusal = async () => Promise.reject(new Error('asked'));
  const withLog = await command(['run', '--rm', '--log-driver', 'journald', 'job'], {runAttached: refusal});
  t.deepEqual(
    withLog.asked.map(([name]) => name),
    ['runAttached'],
  );
  const without = await command(['run', '--rm', 'job'], {run: refusal});
  t.deepEqual(
    without.asked.map(([name]) => name),
    ['run'],
  );
});

const refuses = test.macro({
  async exec(t, args: string, message: string) {
    const {exitCode, stderr, asked} = await command(['run', ...args.split(' '), 'job']);
    t.is(exitCode, 125);
    t.true(stderr.includes(message), stderr);
    t.deepEqual(asked, []);
  },
  title: (_, args, message) => `run ${args}: ${message}`,
});
test(
  refuses,
  '--restart on-failure:x',
  'invalid restart policy format: maximum retry count must be an integer',
);
test(refuses, '--restart :3', 'invalid restart policy format: no policy provided before colon');
test(refuses, '--restart always --rm', 'conflicting options: cannot specify both --restart and --rm');
test(refuses, '--log-driver none --log-opt a=b', 'invalid logging opts for driver none');

const entries = [
  {stream: 'stdout', bytes: Buffer.from('one\n'), time: '2026-01-01T00:00:00.5Z', attributes: {}},
  {
    stream: 'stderr',
    bytes: Buffer.from('two\n'),
    time: '2026-01-01T00:00:01Z',
    attributes: {b: 'x y', a: '<1>'},
  },
] as const;
const logs: Partial<Sdk> = {
  logs: async function* () {
    yield* entries;
  },
};

test('logs writes each stream to its own', async t => {
  t.like(await command(['logs', 'job'], logs), {exitCode: 0, stdout: 'one\n', stderr: 'two\n'});
});

test('logs --timestamps has nine digits, --details what the options of the log added', async t => {
  const {stdout, stderr} = await command(['logs', '-t', '--details', 'job'], logs);
  t.is(stdout, '2026-01-01T00:00:00.500000000Z  one\n');
  t.is(stderr, '2026-01-01T00:00:01.000000000Z a=%3C1%3E,b=x+y two\n');
});

test('logs takes times and durations, and a number of lines', async t => {
  const args = ['logs', '-f', '--since', '10m', '--until', '2026-01-01', '-n', '5', 'job'];
  const {asked} = await command(args, logs, {now: Date.parse('2026-01-01T12:00:00Z')});
  t.like(asked[0]![2], {follow: true, since: '2026-01-01T11:50:00Z', tail: 5});
  const epoch = await command(['logs', '--since', '1767225600.25', '--tail', 'all', 'job'], logs);
  t.like(epoch.asked[0]![2], {since: '2026-01-01T00:00:00.25Z'});
  t.false('tail' in (epoch.asked[0]![2] as object));
  const wrong = await command(['logs', '--since', 'foo', 'job'], logs);
  t.is(wrong.exitCode, 1);
  t.is(wrong.stderr, 'invalid value for "since": failed to parse value as time or duration: "foo"\n');
  const ahead = await command(['logs', '--since', '-5m', '--until=0', 'job'], logs, {
    now: Date.parse('2026-01-01T12:00:00Z'),
  });
  t.like(ahead.asked[0]![2], {since: '2026-01-01T12:05:00Z'});
  t.false('until' in (ahead.asked[0]![2] as object));
});
