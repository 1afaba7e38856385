import {execFile} from 'node:child_process';
import {existsSync, mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {promisify} from 'node:util';
import test from 'ava';
import {journalFields} from '../../src/sdk/journal-fields.js';
import {entryOf} from '../../src/sdk/read-journal.js';
import {ownRuntime} from '../helpers/own-runtime.js';
import {asRoot, requires} from '../helpers/requires.js';

const withJournald = process.getuid?.() === 0 ? requires('/lib/systemd/systemd-journald', 'systemd') : asRoot;
const own = ownRuntime();
const helper = (name: string) => fileURLToPath(new URL(`../helpers/${name}`, import.meta.url));

withJournald(
  "a container's lines are entries of the journal, with Docker's fields, and logs reads them back",
  async t => {
    const folder = mkdtempSync(join(tmpdir(), 'coracle-test-'));
    t.teardown(() => rmSync(folder, {recursive: true, force: true}));
    const program = [
      process.execPath,
      '--import=tsx',
      helper('journal-program.ts'),
      join(folder, 'root'),
      join(folder, 'run'),
    ];
    const {stdout} = await promisify(execFile)(
      'unshare',
      ['--mount', 'sh', helper('with-journal.sh'), ...program],
      {
        maxBuffer: 2 ** 24,
      },
    );
    const seen = JSON.parse(stdout);

    const own = {COLOR: 'blue', MY_SHAPE: 'round', MANY: 'two\nlines'};
    const always = {
      ...own,
      CONTAINER_ID: seen.id.slice(0, 12),
      CONTAINER_ID_FULL: seen.id,
      CONTAINER_NAME: 'everything',
      CONTAINER_TAG: 'everything/x',
      SYSLOG_IDENTIFIER: 'everything/x',
      IMAGE_NAME: 'host-shell',
    };
    const byText = (text: string) => seen.entries.find(({MESSAGE}: {MESSAGE: unknown}) => MESSAGE === text);
    t.like(byText('one'), {...always, PRIORITY: '6'});
    t.like(byText('two'), {...always, PRIORITY: '3'});
    const long = `three${'a'.repeat(20_000)}`;
    t.like(byText(long.slice(0, 16_384)), {CONTAINER_PARTIAL_MESSAGE: 'true'});
    t.false('CONTAINER_PARTIAL_MESSAGE' in byText(long.slice(16_384)));
    t.like(byText('end'), {CONTAINER_PARTIAL_MESSAGE: 'true'});
    t.is(seen.plainEntries[0].CONTAINER_TAG, seen.plainId.slice(0, 12));

    const texts = (entries: {stream: string; text: string}[], of: string) =>
      entries.filter(({stream}) => stream === of).map(({text}) => text);
    t.is(texts(seen.logs, 'stdout').join(''), `one\n${long}\nx\u0001y\n\nend`);
    t.is(texts(seen.logs, 'stderr').join(''), 'two\n');
    t.deepEqual(seen.logs[0].attributes, {...own, IMAGE_NAME: 'host-shell'});
    t.regex(seen.logs[0].time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{1,9}Z$/);
    t.is(seen.tail.length, 1);
    t.deepEqual(texts(seen.followed, 'stdout'), ['first\n', 'last\n']);
    t.is(seen.lines, 3000);
    t.true(seen.lost > 0);
    t.is(seen.kept + seen.lost, 3000);
    t.deepEqual(texts(seen.survived, 'stdout'), ['before\n', 'after\n']);
    t.like(seen.inspected, {Type: 'journald'});
    t.is(seen.logPath, '');
  },
);

asRoot('without a journal nothing is started, and the error says what is missing', async t => {
  const container = await own.create({log: {driver: 'journald'}, command: ['true']});
  t.teardown(() => container.remove());
  if (existsSync('/run/systemd/journal/socket')) {
    await t.notThrowsAsync(container.startDetached());
    await container.wait();
    return;
  }
  await t.throwsAsync(container.startDetached(), {
    code: 'ERR_LOG_UNAVAILABLE',
    message: 'failed to initialize logging driver: journald is not enabled on this host',
  });
  t.is((await container.state()).status, 'created');
});

asRoot('options of the journal are those of Docker', async t => {
  const refused = own.create({log: {driver: 'journald', options: {'max-size': '1m'}}});
  await t.throwsAsync(refused, {
    code: 'ERR_INVALID_OPTION',
    message: "unknown log opt 'max-size' for journald log driver",
  });
});

test('names of labels and variables become names of fields', t => {
  const config = {id: 'f'.repeat(64), name: 'web', image: {id: 'sha256:0', reference: 'job'}};
  const text = journalFields(config, {
    '_com.example-Role': 'x',
    '!!': 'y',
    CONTAINER_NAME: 'forged',
  }).toString();
  t.is(
    text,
    [
      'COM_EXAMPLE_ROLE=x',
      'CONTAINER_NAME=web',
      'CONTAINER_ID=ffffffffffff',
      `CONTAINER_ID_FULL=${config.id}`,
      'CONTAINER_TAG=ffffffffffff',
      'IMAGE_NAME=job',
      'SYSLOG_IDENTIFIER=ffffffffffff',
      '',
    ].join('\n'),
  );
});

test('a value with a newline comes with its length, so that no field can be forged in it', t => {
  const config = {id: 'f'.repeat(64), name: 'web', image: {id: 'sha256:0', reference: 'job'}};
  const bytes = journalFields(config, {NOTE: 'a\nPRIORITY=0'});
  t.deepEqual(bytes.subarray(0, 26), Buffer.from('NOTE\n\x0c\0\0\0\0\0\0\0a\nPRIORITY=0\n'));
});

test('an entry is read with what is no text, and with what was cut', t => {
  const {entry, cursor} = entryOf({
    MESSAGE: [120, 255, 121],
    CONTAINER_PARTIAL_MESSAGE: 'true',
    PRIORITY: '3',
    __REALTIME_TIMESTAMP: '1795926273125647',
    __CURSOR: 's=1',
    _PID: '1',
    COLOR: 'blue',
  });
  t.is(cursor, 's=1');
  t.deepEqual(entry, {
    stream: 'stderr',
    bytes: Buffer.from([120, 255, 121]),
    time: '2026-11-29T04:24:33.125647Z',
    attributes: {COLOR: 'blue'},
  });
});
