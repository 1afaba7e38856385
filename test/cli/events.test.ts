import test from 'ava';
import {parseTimestamp} from '../../src/cli/parse-timestamp.js';
import type {EventsOptions, RuntimeEvent} from '../../src/sdk/index.js';
import {command} from './recording-sdk.js';

const die: RuntimeEvent = {
  timeNs: 1795913927_603217591n,
  type: 'container',
  action: 'die',
  id: 'a'.repeat(64),
  attributes: {name: 't2', image: 'bb:1', exitCode: '0', note: 'x\u001b[2J'},
};
const prune: RuntimeEvent = {...die, action: 'prune', id: '', attributes: {reclaimed: '71'}};

const events = (...words: string[]) =>
  command(['events', ...words], {
    events: async function* (_: EventsOptions) {
      yield* [die, prune];
    } as never,
  });

const time = () => {
  const [date, zone] = [new Date(1795913927_603), -new Date(1795913927_603).getTimezoneOffset()];
  return zone === 0 ? date.toISOString().replace('603Z', '603217591Z') : undefined;
};

test('an event is a line as Docker prints it, without what would move a cursor', async t => {
  const {stdout} = await events();
  if (time() !== undefined) t.true(stdout.startsWith(time()!));
  t.regex(
    stdout,
    /^\S+\.603217591\S+ container die a{64} \(exitCode=0, image=bb:1, name=t2, note=x\\x1b\[2J\)\n\S+ container prune {2}\(reclaimed=71\)\n$/,
  );
});

test('as JSON it has the keys of Docker, and numbers that JavaScript cannot hold', async t => {
  const [line] = (await events('--format', 'json')).stdout.split('\n');
  t.is(
    line,
    `{"status":"die","id":"${'a'.repeat(64)}","from":"bb:1","Type":"container","Action":"die","Actor":{"ID":"${'a'.repeat(64)}","Attributes":{"exitCode":"0","image":"bb:1","name":"t2","note":"x\\u001b[2J"}},"scope":"local","time":1795913927,"timeNano":1795913927603217591}`,
  );
});

test('a template sees the fields of Go', async t => {
  const format =
    '{{.ID}} {{.Status}} {{.From}} {{.Actor.Attributes.name}} {{.Time}} {{.TimeNano}} {{.Type}} {{.Action}} {{.Scope}}';
  const [line] = (await events('--format', format)).stdout.split('\n');
  t.is(line, `${'a'.repeat(64)} die bb:1 t2 1795913927 1795913927603217591 container die local`);
});

test('a template that names what is not there is refused before anything is asked', async t => {
  const {stderr, exitCode, asked} = await events('--format', '{{.Nope}}');
  t.is(
    stderr,
    `Error parsing format: template: :1:2: executing "" at <.Nope>: can't evaluate field Nope in type *events.Message\n`,
  );
  t.is(exitCode, 64);
  t.deepEqual(asked, []);
});

test('filters and times are handed on', async t => {
  const words = [
    '--since',
    '5',
    '--until',
    '2026-11-21T03:12:00.5Z',
    '-f',
    'event=die',
    '--filter',
    'event=oom',
  ];
  const [[, options]] = (await events(...words)).asked as unknown as [[string, EventsOptions]];
  t.like(options, {
    since: 5_000_000_000n,
    until: 1795230720_500000000n,
    filters: {event: ['die', 'oom']},
  });
  t.is((await events('--filter', 'nope=1')).stderr, '');
  t.is((await events('--until', 'nope')).stderr, 'failed to parse value as time or duration: "nope"\n');
});

const NOW = Date.parse('2026-11-21T03:12:00.999Z');
const means = test.macro({
  exec(t, text: string, expected: bigint) {
    t.is(parseTimestamp(text, NOW), expected);
  },
  title: (_, text) => `${text} is a time`,
});
const seconds = (text: string) => BigInt(Date.parse(text)) * 1_000_000n;
test(means, '0', 0n);
test(means, '1136073600.000000001', 1136073600_000000001n);
test(means, '1136073600.5', 1136073600_500000000n);
test(means, '10m', seconds('2026-11-21T03:02:00Z'));
test(means, '0s', seconds('2026-11-21T03:12:00Z'));
test(means, '1h30m', seconds('2026-11-21T01:42:00Z'));
test(means, '2026-11-21T03:00:00Z', seconds('2026-11-21T03:00:00Z'));
test(means, '2026-11-21T03:00:00.123456789+01:00', seconds('2026-11-21T02:00:00Z') + 123_456_789n);
test(means, '2026-11-21T03:00:00', seconds('2026-11-21T03:00:00'));
test(means, '2026-11-21T03:00', seconds('2026-11-21T03:00:00'));
test(means, '2026-11-21T03', seconds('2026-11-21T03:00:00'));
test(means, '2026-11-21', seconds('2026-11-21T00:00:00'));
test(means, '2026-11-21Z', seconds('2026-11-21T00:00:00Z'));
test(means, '2026-11-21-01:00', seconds('2026-11-21T01:00:00Z'));
test(means, '2026-11-21T10Z', seconds('2026-11-21T10:00:00Z'));
test(means, '2026-11-21T10:20:30,5Z', seconds('2026-11-21T10:20:30.5Z'));
test(means, '-5m', seconds('2026-11-21T03:17:00Z'));
test(means, '.5h', seconds('2026-11-21T02:42:00Z'));
test(means, '+1', 1_000_000_000n);

const isNoTime = test.macro({
  exec(t, text: string, message: string) {
    t.throws(() => parseTimestamp(text, NOW), {name: 'ClientError', message});
  },
  title: (_, text) => `${text} is no time`,
});
test(isNoTime, 'x', 'failed to parse value as time or duration: "x"');
test(isNoTime, '1.', 'failed to parse value as time or duration: "1."');
test(isNoTime, '9999999999999999999', 'failed to parse value as time or duration: "9999999999999999999"');
test(isNoTime, '-1', 'parsing time "-1" as "2006-01-02": cannot parse "-1" as "2006"');
test(isNoTime, '2026-11-30T24:00:00', 'parsing time "2026-11-30T24:00:00": hour out of range');
test(isNoTime, '2026-02-30', 'parsing time "2026-02-30": day out of range');
test(isNoTime, '2026-11-30 10:20:30', 'parsing time "2026-11-30 10:20:30": extra text: " 10:20:30"');
test(
  isNoTime,
  '2026-11-30T10:20.5',
  'parsing time "2026-11-30T10:20.5" as "2006-01-02T15:04:05.999999999": cannot parse ".5" as ":"',
);
test(
  isNoTime,
  '2006-01-02T15:04:05-07',
  'parsing time "2006-01-02T15:04:05-07" as "2006-01-02T15:04Z07:00": cannot parse ":05-07" as "Z07:00"',
);
