import {execFileSync} from 'node:child_process';
import {mkdirSync, readdirSync, readFileSync, statSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import type {ExecutionContext} from 'ava';
import {
  Container,
  type CoracleError,
  type LogEntry,
  type LogsOptions,
  type RunOptions,
} from '../../src/index.js';
import {OwnRuntime, ownRuntime} from '../helpers/own-runtime.js';
import {asRoot} from '../helpers/requires.js';

const own = ownRuntime();
const recorded = (name: string) =>
  readFileSync(new URL(`../fixtures/docker/${name}`, import.meta.url), 'utf8');

asRoot("json-file has dockerd's lines, byte for byte but for the times", async t => {
  const container = await ended(t, recorded('json-file.sh'), {
    labels: {a: '1', b: '<x>'},
    log: {driver: 'json-file', options: {labels: 'b,a'}},
  });
  const path = (await container.inspect()).LogPath;
  t.is(path, join(own.root, 'containers', container.id, `${container.id}-json.log`));
  const lines = readFileSync(path, 'utf8').split('\n');
  const expected = recorded('json-file.log').split('\n');
  t.deepEqual(lines.map(withoutTime), expected.map(withoutTime));
  // The pieces of a long line have one time; so have lines that are read at once, which depends on who is faster.
  const sameAsBefore = (all: readonly string[]) =>
    all.flatMap((line, index) => {
      const before = all[index - 1] ?? '';
      return line.includes('xxx') && before.includes('xxx') && time(line) === time(before) ? [index] : [];
    });
  t.deepEqual(sameAsBefore(lines), sameAsBefore(expected));
  t.regex(time(lines[0]!), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{1,9}Z$/);
});

asRoot('what a program writes at once is not older than its start', async t => {
  for (let start = 0; start < 10; start++) {
    const container = await ended(t, 'echo at once');
    const [{time: written} = {time: ''}] = await logs(container);
    const {StartedAt} = (await container.inspect()).State;
    t.true(BigInt(nanoseconds(written)) >= BigInt(nanoseconds(StartedAt)), `${StartedAt} ${written}`);
  }
});

/** Of the day: digits that compare as numbers do. */
function nanoseconds(at: string): string {
  const [, clock = '', fraction = ''] = /T([\d:]+)\.?(\d*)Z$/.exec(at) ?? [];
  return clock.replaceAll(':', '') + fraction.padEnd(9, '0');
}

asRoot('logs gives lines with stream and time, chosen by stream, number and time', async t => {
  const container = await ended(t, 'echo one; sleep 0.1; echo two >&2; sleep 0.1; echo three; printf four');
  const entries = await logs(container);
  t.deepEqual(
    entries.map(({stream, bytes}) => [stream, String(Buffer.from(bytes))]),
    [
      ['stdout', 'one\n'],
      ['stderr', 'two\n'],
      ['stdout', 'three\n'],
      ['stdout', 'four'],
    ],
  );
  t.is(await textOf(container, {stderr: false}), 'one\nthree\nfour');
  t.is(await textOf(container, {stdout: false}), 'two\n');
  t.is(await textOf(container, {tail: 2}), 'three\nfour');
  t.is(await textOf(container, {tail: 0}), '');
  t.is(await textOf(container, {tail: 99}), 'one\ntwo\nthree\nfour');
  t.is(await textOf(container, {since: entries[2]!.time}), 'three\nfour');
  t.is(await textOf(container, {until: entries[1]!.time}), 'one\ntwo\n');
  t.is(await textOf(container, {since: entries[1]!.time, until: entries[2]!.time}), 'two\nthree\n');
  await t.throwsAsync(logs(container, {since: 'yesterday'}), {code: 'ERR_INVALID_OPTION'});
  await t.throwsAsync(logs(container, {tail: -1}), {code: 'ERR_INVALID_OPTION'});
});

asRoot('a log goes on over restarts of its container', async t => {
  const container = await ended(t, 'echo ran');
  await container.startDetached();
  await container.wait();
  t.is(await textOf(container), 'ran\nran\n');
});

asRoot('followed, a log gives each line when it is written, and ends with the container', async t => {
  const container = await detached(t, 'echo first; read line; echo "$line"', {stdin: 'pipe'});
  const seen: string[] = [];
  for await (const {bytes} of container.logs({follow: true})) {
    seen.push(String(Buffer.from(bytes)));
    if (seen.length === 1) await container.stop({timeoutMs: 0});
  }
  t.deepEqual(seen, ['first\n']);
  await container.wait();
  t.is(await textOf(container, {follow: true}), 'first\n');
});

asRoot('to follow can be given up', async t => {
  const container = await detached(t, 'echo first; sleep 60');
  const controller = new AbortController();
  const reason = new Error('enough');
  const reading = (async () => {
    for await (const _ of container.logs({follow: true, signal: controller.signal})) controller.abort(reason);
  })();
  t.is(await t.throwsAsync(reading), reason);
});

for (const driver of ['json-file', 'local'] as const) {
  asRoot(`${driver}: files are put aside at their size, so many are kept, and read as one`, async t => {
    const options = {'max-size': '4k', 'max-file': '3', compress: 'false'};
    const container = await ended(
      t,
      'i=0; while [ $i -lt 300 ]; do i=$((i+1)); echo "line $i of many"; done',
      {
        log: {driver, options},
      },
    );
    const directory = join(own.root, 'containers', container.id);
    const files = readdirSync(directory).filter(name => /log(\.\d)?$/.test(name));
    t.is(files.length, 3, files.join());
    for (const name of files) t.true(statSync(join(directory, name)).size < 4096, name); // 4000 and a line
    const lines = (await textOf(container)).trimEnd().split('\n');
    t.is(lines.at(-1), 'line 300 of many');
    t.true(lines.length > 60);
    const first = Number(/\d+/.exec(lines[0]!)![0]);
    t.deepEqual(
      lines,
      Array.from({length: 301 - first}, (_, index) => `line ${first + index} of many`),
    );
    t.is(await textOf(container, {tail: 60}), `${lines.slice(-60).join('\n')}\n`);
    t.false(readdirSync(directory).some(name => name.endsWith('.gz')));
  });

  asRoot(`${driver}: what was put aside is compressed at the next start, and still read`, async t => {
    const container = await ended(
      t,
      'i=0; while [ $i -lt 150 ]; do i=$((i+1)); echo "line $i of many"; done',
      {
        log: {driver, options: {'max-size': '4k', 'max-file': '9', compress: 'true'}},
      },
    );
    const before = await textOf(container);
    await container.startDetached();
    await container.wait();
    const names = readdirSync(join(own.root, 'containers', container.id));
    t.true(
      names.some(name => /log\.\d\.gz$/.test(name)),
      names.join(),
    );
    t.is(await textOf(container), before + before);
  });
}

asRoot('followed while files are put aside, no line is missed or told twice', async t => {
  const container = await detached(
    t,
    'read go; i=0; while [ $i -lt 400 ]; do i=$((i+1)); echo "$i"; [ $((i % 20)) = 0 ] && sleep 0.02; done',
    {stdin: 'pipe', log: {driver: 'json-file', options: {'max-size': '2k', 'max-file': '20'}}},
  );
  const {runtime} = container;
  const reading = textOf(container, {follow: true});
  const {MonitorConnection} = await import('../../src/sdk/monitor-connection.js');
  using connection = (await MonitorConnection.open(join(own.root, 'containers', container.id)))!;
  await connection.input(Buffer.from('go\n'));
  t.is(await reading, Array.from({length: 400}, (_, index) => `${index + 1}\n`).join(''));
  t.truthy(runtime);
});

asRoot('with the driver none nothing is kept, and nothing can be read', async t => {
  const container = await ended(t, 'echo nothing', {log: {driver: 'none'}});
  t.deepEqual(
    readdirSync(join(own.root, 'containers', container.id)).filter(name => name.endsWith('log')),
    [],
  );
  t.is((await container.inspect()).LogPath, '');
  await t.throwsAsync(logs(container), {
    code: 'ERR_LOG_NOT_KEPT',
    message: 'configured logging driver does not support reading',
  });
});

asRoot('what a program writes fast is logged without loss', async t => {
  const container = await ended(t, 'i=0; while [ $i -lt 40 ]; do i=$((i+1)); cat /etc/many; done', {
    mounts: [{type: 'bind', source: manyLines(), target: '/etc/many', readOnly: true}],
  });
  let count = 0;
  for await (const {bytes} of container.logs()) {
    if (String(Buffer.from(bytes)) !== `${count % 10_000} ${'.'.repeat(20)}\n`) t.fail(String(bytes));
    count++;
  }
  t.is(count, 400_000);
});

asRoot('a full disk loses lines, which are counted; the container goes on and its end is known', async t => {
  const small = new OwnRuntime();
  mkdirSync(small.root, {recursive: true});
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64m', 'tmpfs', small.root]);
  t.teardown(async () => {
    await (await small.runtime).close();
    execFileSync('umount', [small.root]);
    await small.close();
  });
  const container = await Container.create(
    'host-shell',
    {
      command: ['sh', '-c', 'i=0; while [ $i -lt 70 ]; do i=$((i+1)); cat /etc/many; done; exit 4'],
      mounts: [{type: 'bind', source: manyLines(), target: '/etc/many', readOnly: true}],
    },
    {runtime: await small.runtime},
  );
  await container.startDetached();
  t.like(await container.wait(), {kind: 'code', code: 4});
  const directory = join(small.root, 'containers', container.id);
  const {lostLines} = JSON.parse(readFileSync(join(directory, 'exit.json'), 'utf8'));
  t.true(lostLines > 0 && lostLines < 700_000, String(lostLines));
  const log = readFileSync(join(directory, `${container.id}-json.log`), 'utf8');
  t.true(log.endsWith('}\n'));
  await container.remove();
});

for (const [options, code, message] of [
  [{driver: 'syslog'}, 'ERR_UNSUPPORTED_OPTION', /syslog is not supported/],
  [{driver: 'nope'}, 'ERR_INVALID_OPTION', /^logger: no log driver named 'nope' is registered$/],
  [
    {driver: 'json-file', options: {x: ''}},
    'ERR_INVALID_OPTION',
    /^unknown log opt 'x' for json-file log driver$/,
  ],
  [
    {driver: 'local', options: {labels: ''}},
    'ERR_INVALID_OPTION',
    /^unknown log opt 'labels' for local log driver$/,
  ],
  [
    {driver: 'json-file', options: {'max-file': '0'}},
    'ERR_INVALID_OPTION',
    /^max-file cannot be less than 1$/,
  ],
  [
    {driver: 'json-file', options: {compress: 'true'}},
    'ERR_INVALID_OPTION',
    /^compress cannot be true when max-file/,
  ],
] as const) {
  asRoot(`the log options ${JSON.stringify(options)} are refused`, async t => {
    const error = (await t.throwsAsync(
      own.create({command: ['true'], log: options as NonNullable<RunOptions['log']>}),
    )) as CoracleError;
    t.is(error.code, code);
    t.regex(error.message, message);
  });
}

let many: string | undefined;

/** A file of 10 000 lines. */
function manyLines(): string {
  if (many !== undefined) return many;
  many = join(own.folder, 'many');
  const lines = Array.from({length: 10_000}, (_, index) => `${index} ${'.'.repeat(20)}\n`);
  writeFileSync(many, lines.join(''));
  return many;
}

async function detached(t: ExecutionContext, script: string, options: RunOptions = {}): Promise<Container> {
  const container = await Container.runDetached(
    'host-shell',
    {...options, command: ['sh', '-c', script]},
    {runtime: await own.runtime},
  );
  t.teardown(() => container[Symbol.asyncDispose]());
  return container;
}

async function ended(t: ExecutionContext, script: string, options?: RunOptions): Promise<Container> {
  const container = await detached(t, script, options);
  await container.wait();
  return container;
}

async function logs(container: Container, options?: LogsOptions): Promise<LogEntry[]> {
  const entries: LogEntry[] = [];
  for await (const entry of container.logs(options)) entries.push(entry);
  return entries;
}

async function textOf(container: Container, options?: LogsOptions): Promise<string> {
  return (await logs(container, options)).map(({bytes}) => String(Buffer.from(bytes))).join('');
}

function withoutTime(line: string): string {
  return line.replace(/"time":"[^"]*"/, '"time"');
}

function time(line: string): string {
  return /"time":"([^"]*)"/.exec(line)?.[1] ?? '';
}
