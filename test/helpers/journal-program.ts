/** What the tests of the log driver journald do in a mount namespace that has a journal: prints what it saw, as JSON. */
import {execFile, spawn} from 'node:child_process';
import {existsSync, readFileSync, rmSync} from 'node:fs';
import {promisify} from 'node:util';
import {Container, Image, type LogsOptions, Runtime} from '../../src/index.js';

const [root = '', run = ''] = process.argv.slice(2);
const runtime = await Runtime.open({root, run, waiting: 0});
await Image.hostShell({runtime});

const logs = async (container: Container, options: LogsOptions = {}) => {
  const seen: unknown[] = [];
  for await (const {stream, bytes, time, attributes} of container.logs(options)) {
    seen.push({stream, text: Buffer.from(bytes).toString('latin1'), time, attributes});
  }
  return seen;
};
const detached = (script: string, options: object = {}) =>
  Container.runDetached(
    'host-shell',
    {command: ['sh', '-c', script], log: {driver: 'journald'}, ...options},
    {runtime},
  );
const entriesOf = async (id: string) => {
  const {stdout} = await promisify(execFile)(
    'journalctl',
    ['--quiet', '--all', '--output=json', `CONTAINER_ID_FULL=${id}`],
    {maxBuffer: 2 ** 24},
  );
  return stdout
    .trim()
    .split('\n')
    .map(line => JSON.parse(line));
};

const options = {labels: 'color,my-shape', env: 'MANY', tag: '{{.Name}}/x'};
const everything = await detached(
  'echo one; echo two >&2; printf three; head -c 20000 /dev/zero | tr "\\0" a; echo; printf "x\\001y\\n"; echo; printf end',
  {
    name: 'everything',
    labels: {color: 'blue', 'my-shape': 'round'},
    env: ['MANY=two\nlines'],
    log: {driver: 'journald', options},
  },
);
await everything.wait({condition: 'not-running'});
const plain = await detached('echo first; until [ -e /go ]; do sleep 0.05; done; echo last');
const following = logs(plain, {follow: true});
await plain.capture(['touch', '/go']);
const lines = await detached('i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); done');
await lines.wait();

// Nobody reads the journal's socket: nobody waits for that, and what did not fit is counted.
const journal = Number(process.env['JOURNAL_PID']);
process.kill(journal, 'SIGSTOP');
const unread = await detached('i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); done');
await unread.wait();
process.kill(journal, 'SIGCONT');
const lost = JSON.parse(readFileSync(`${root}/containers/${unread.id}/exit.json`, 'utf8')).lostLines;
const kept = (await logs(unread)).length;

// Another journal at the same place.
const survivor = await detached('echo before; until [ -e /go ]; do sleep 0.05; done; echo after');
await logs(survivor);
process.kill(journal, 'SIGTERM');
while (existsSync(`/proc/${journal}/fd/0`)) await new Promise(setImmediate);
rmSync('/run/systemd/journal/socket', {force: true});
const next = spawn('/lib/systemd/systemd-journald', {stdio: 'ignore'});
process.once('exit', () => next.kill());
while (!existsSync('/run/systemd/journal/socket')) await new Promise(setImmediate);
await survivor.capture(['touch', '/go']);
await survivor.wait();
const survived = await logs(survivor);
next.kill();

console.log(
  JSON.stringify({
    lost,
    kept,
    survived,
    id: everything.id,
    plainId: plain.id,
    logs: await logs(everything),
    tail: await logs(everything, {tail: 1}),
    entries: await entriesOf(everything.id),
    plainEntries: await entriesOf(plain.id),
    followed: await following,
    lines: (await logs(lines)).length,
    inspected: (await everything.inspect()).HostConfig.LogConfig,
    logPath: (await everything.inspect()).LogPath,
  }),
);
for (const container of await Container.list({runtime})) await container[Symbol.asyncDispose]();
await runtime.close();
