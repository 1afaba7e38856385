import {mkdtempSync, readFileSync} from 'node:fs';
import {rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import test from 'ava';
import type {BuildOptions, BuildProgress} from '../../src/build/index.js';
import {CoracleError} from '../../src/errors.js';
import {command} from './recording-sdk.js';

const ID = `sha256:${'ab'.repeat(32)}`;
const id = (digits: string) => `sha256:${digits.repeat(32)}`;

/** A build that tells this and has this end. */
function building(events: readonly BuildProgress[], end: {readonly id: string} | Error = {id: ID}) {
  return {
    build: async (_context: unknown, {onProgress}: BuildOptions) => {
      for (const event of events) onProgress?.(event);
      if (end instanceof Error) throw end;
      return end;
    },
  };
}

const step = (stage: number, number: number, instruction: string): BuildProgress => ({
  type: 'step',
  stage,
  step: number,
  steps: 4,
  instruction,
  line: number,
});

test('flags are options of Image.build', async t => {
  const {asked} = await command(
    [
      ...[
        'build',
        '-t',
        'a',
        '-t',
        'b:2',
        '-f',
        'x/Dockerfile',
        '--build-arg',
        'A=1',
        '--build-arg',
        'FROM_ENV',
      ],
      ...[
        '--build-arg',
        'NOT_THERE',
        '--label',
        'l=1',
        '--no-cache',
        '--pull',
        '--target',
        'stage',
        '--network',
        'none',
      ],
      ...[
        '--secret',
        'id=s,src=file',
        '--secret',
        'id=t,env=FROM_ENV',
        '--cache-from',
        'c,d',
        '--memory',
        '64m',
      ],
      ...[
        '--shm-size',
        '1m',
        '--ulimit',
        'nofile=10:20',
        '--add-host',
        'h:10.0.0.1',
        '--platform',
        'linux/amd64',
        'ctx',
      ],
    ],
    building([]),
    {env: {FROM_ENV: 'value'}},
  );
  const [name, context, {signal, onProgress, ...options}] = asked[0] as [string, string, BuildOptions];
  t.is(name, 'build');
  t.is(context, '/here/ctx');
  t.deepEqual(options, {
    dockerfile: '/here/x/Dockerfile',
    tags: ['a', 'b:2'],
    buildArgs: {A: '1', FROM_ENV: 'value'},
    labels: {l: '1'},
    target: 'stage',
    platform: 'linux/amd64',
    pull: true,
    noCache: true,
    cacheFrom: ['c', 'd'],
    secrets: {s: {path: 'file'}, t: {value: 'value'}},
    network: 'none',
    extraHosts: ['h:10.0.0.1'],
    limits: {memoryBytes: 64 * 1024 * 1024},
    shmSizeBytes: 1024 * 1024,
    ulimits: {nofile: {soft: 10, hard: 20}},
  });
});

test('the lines are those of the classic builder', async t => {
  const {stdout, exitCode} = await command(
    ['build', '.'],
    building([
      step(0, 1, 'FROM a'),
      {type: 'made', stage: 0, id: id('11')},
      step(0, 2, 'ENV x=1'),
      {type: 'cached', stage: 0},
      {type: 'made', stage: 0, id: id('22')},
      step(0, 3, 'RUN echo hi'),
      {type: 'running', stage: 0, container: 'c'.repeat(64)},
      {type: 'output', stage: 0, stream: 'stdout', bytes: Buffer.from('hi\n')},
      {type: 'removed', stage: 0, container: 'c'.repeat(64)},
      {type: 'made', stage: 0, id: id('33')},
      {type: 'ended', stage: 0},
      {type: 'built', id: ID},
      {type: 'tagged', reference: 'a:latest'},
    ]),
  );
  t.is(exitCode, 0);
  t.is(
    stdout,
    `Step 1/4 : FROM a
 ---> 111111111111
Step 2/4 : ENV x=1
 ---> Using cache
 ---> 222222222222
Step 3/4 : RUN echo hi
 ---> Running in cccccccccccc
hi
Removing intermediate container cccccccccccc
 ---> 333333333333
Successfully built abababababab
Successfully tagged a:latest
`,
  );
});

test('stages that are built at the same time are told one after the other', async t => {
  const {stdout} = await command(
    ['build', '.'],
    building([
      step(1, 3, 'FROM b'),
      step(0, 1, 'FROM a'),
      step(1, 4, 'RUN b'),
      step(0, 2, 'RUN a'),
      {type: 'ended', stage: 1},
      {type: 'ended', stage: 0},
    ]),
  );
  t.is(stdout, 'Step 1/4 : FROM a\nStep 2/4 : RUN a\nStep 3/4 : FROM b\nStep 4/4 : RUN b\n');
});

test('what a stage says while another one is told comes after it, as it is said from then on', async t => {
  const said = (stage: number, text: string): BuildProgress => ({
    type: 'output',
    stage,
    stream: 'stdout',
    bytes: Buffer.from(`${text}\n`),
  });
  const {stdout} = await command(
    ['build', '.'],
    building([
      step(2, 4, 'FROM c'),
      step(0, 1, 'ARG v'),
      step(0, 2, 'FROM a'),
      step(1, 3, 'FROM b'),
      said(1, 'one of b'),
      {type: 'ended', stage: 0},
      said(1, 'two of b'),
      said(2, 'one of c'),
      {type: 'ended', stage: 1},
      said(2, 'two of c'),
      {type: 'ended', stage: 2},
    ]),
  );
  t.is(
    stdout.replaceAll(/Step \d\/\d : /g, ''),
    'ARG v\nFROM a\nFROM b\none of b\ntwo of b\nFROM c\none of c\ntwo of c\n',
  );
});

test('when a stage fails nothing is told of those after it', async t => {
  const error = new CoracleError('ERR_BUILD_FAILED', 'no', {details: {exitCode: 7, stage: 1}});
  const events = [step(2, 4, 'FROM c'), step(1, 3, 'FROM b'), step(0, 1, 'FROM a')];
  const {stdout} = await command(['build', '.'], building(events, error));
  t.is(stdout, 'Step 1/4 : FROM a\nStep 3/4 : FROM b\n');
});

test('--quiet prints the id alone, --progress json an object a line', async t => {
  const events: BuildProgress[] = [{type: 'output', stage: 0, stream: 'stderr', bytes: Buffer.from('x')}];
  t.is((await command(['build', '-q', '.'], building(events))).stdout, `${ID}\n`);
  const {stdout} = await command(['build', '--progress', 'json', '.'], building(events));
  t.is(stdout, '{"type":"output","stage":0,"stream":"stderr","text":"x"}\n');
});

test('a RUN that fails ends the command with its code, and the place is told', async t => {
  const error = new CoracleError('ERR_BUILD_FAILED', "The command 'x' returned a non-zero code: 7", {
    details: {exitCode: 7, file: 'Dockerfile', line: 2, instruction: 'RUN x', stage: 0},
  });
  const {exitCode, stderr} = await command(['build', '.'], building([], error));
  t.is(exitCode, 7);
  t.is(stderr, "Dockerfile:2: RUN x\nThe command 'x' returned a non-zero code: 7\n");
});

test('what was held back by --quiet is told when it fails', async t => {
  const {stderr} = await command(['build', '-q', '.'], building([step(0, 1, 'FROM a')], new Error('no')));
  t.regex(stderr, /^Step 1\/4 : FROM a\n/);
});

test('--iidfile has the id', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'coracle-test-'));
  t.teardown(() => rm(folder, {recursive: true}));
  await command(['build', '--iidfile', join(folder, 'id'), '.'], building([]));
  t.is(readFileSync(join(folder, 'id'), 'utf8'), ID);
});

test('a tag that is none is refused as a flag is, one that no image may have as dockerd does', async t => {
  for (const tag of ['a:b:c', '', '0'.repeat(64)]) {
    const {exitCode, stderr} = await command(['build', '-t', tag, '.']);
    t.is(exitCode, 125);
    t.true(stderr.startsWith(`invalid argument "${tag}" for "-t, --tag" flag: invalid re`), stderr);
    t.regex(stderr, /\nRun 'coracle build --help' for more information\n$/);
  }
  const error = new CoracleError('ERR_INVALID_REFERENCE', 'build tag cannot contain a digest', {
    details: {daemon: true},
  });
  const {exitCode, stderr} = await command(
    ['build', '-t', `a@sha256:${'0'.repeat(64)}`, '.'],
    building([], error),
  );
  t.is(exitCode, 1);
  t.is(stderr, 'Error response from daemon: build tag cannot contain a digest\n');
});

test('a file for the id that cannot be written, or removed before, is told in Docker’s words', async t => {
  const missing = await command(['build', '--iidfile', '/nowhere/id', '.'], building([]));
  t.is(missing.stderr, 'open /nowhere/id: no such file or directory\n');
  t.is(missing.exitCode, 1);
  const folder = mkdtempSync(join(tmpdir(), 'coracle-test-'));
  t.teardown(() => rm(folder, {recursive: true}));
  const directory = await command(['build', '--iidfile', folder, '.'], building([]));
  t.is(directory.stderr, `removing image ID file: remove ${folder}: is a directory\n`);
  t.deepEqual(directory.asked, []);
});

test('what Docker has and this has not is refused with what to do instead', async t => {
  for (const flag of ['--output=type=local,dest=.', '--ssh=default', '--squash', '--push']) {
    const {exitCode, stderr} = await command(['build', flag, '.']);
    t.is(exitCode, 1);
    t.regex(stderr, /is not supported by this release: \w/);
  }
  t.regex((await command(['build', '--progress', 'nope', '.'])).stderr, /invalid progress mode: nope/);
  t.regex((await command(['build', '-f', '-', '-'])).stderr, /can't use stdin for both/);
});
