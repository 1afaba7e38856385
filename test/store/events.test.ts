import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {EventJournal, JOURNAL_BYTES} from '../../src/store/event-journal.js';
import {decodeEvent, encodeEvent, type JournalEvent} from '../../src/store/event-line.js';

const START: JournalEvent = {
  timeNs: 1764375398_123456789n,
  type: 'container',
  action: 'start',
  id: 'ab12',
  attributes: {image: 'bb:1', name: 'web'},
};

function ownJournal(t: ExecutionContext) {
  const live = mkdtempSync(join(tmpdir(), 'coracle-test-'));
  const journal = new EventJournal(live);
  t.teardown(() => {
    rmSync(live, {recursive: true});
  });
  return {live, journal};
}

const numbered = (number: number, padding = ''): JournalEvent => ({
  ...START,
  attributes: {number: String(number), ...(padding && {padding})},
});
const numberOf = ({attributes}: JournalEvent) => Number(attributes['number']);

async function take(events: AsyncIterable<JournalEvent>, count: number): Promise<JournalEvent[]> {
  const taken: JournalEvent[] = [];
  for await (const event of events) {
    taken.push(event);
    if (taken.length === count) break;
  }
  return taken;
}

test('an event is a line of words between two newlines', t => {
  t.is(encodeEvent(START), '\n1764375398.123456789 container start ab12 image=bb:1 name=web ;\n');
});

test('whatever a label holds comes back', t => {
  const attributes = {
    'a b': 'c=d;e%f\n\u0000',
    ü: '☃ 𝄞',
    __proto__x: '',
    'path/to': '~',
  };
  const event = {...START, action: 'exec_create: sh -c "x"', attributes};
  const line = encodeEvent(event);
  t.regex(line, /^\n[!-~ ]+\n$/);
  t.deepEqual(decodeEvent(line.trim()), event);
  const named = JSON.parse('{"__proto__": "x"}') as Record<string, string>;
  t.deepEqual(Object.entries(decodeEvent(encodeEvent({...START, attributes: named}).trim())!.attributes), [
    ['__proto__', 'x'],
  ]);
  t.deepEqual(decodeEvent(encodeEvent({...START, id: ''}).trim())!.id, '');
});

test('half a line is no event, however it was cut', t => {
  const line = encodeEvent({...START, attributes: {...START.attributes, note: 'ü x'}}).trim();
  for (let length = 0; length < line.length; length++) t.is(decodeEvent(line.slice(0, length)), undefined);
  t.is(decodeEvent(`1764375398.1234${line}`), undefined);
});

test('a writer that dies in the middle of a line costs that line alone', async t => {
  const {journal} = ownJournal(t);
  journal.append([numbered(1)]);
  appendFileSync(journal.places.current, encodeEvent(numbered(2)).slice(0, 40));
  journal.append([numbered(3)]);
  const kept = await take(journal.watch({sinceNs: 0n, untilNs: START.timeNs}), 9);
  t.deepEqual(kept.map(numberOf), [1, 3]);
});

test('without a beginning it tells what happens from now on, with one what happened', async t => {
  const {journal} = ownJournal(t);
  journal.append([numbered(1)]);
  const live = journal.watch({})[Symbol.asyncIterator]();
  const first = live.next();
  await new Promise(setImmediate); // it has begun to watch
  journal.append([numbered(2), numbered(3)]);
  t.is(numberOf((await first).value!), 2);
  t.is(numberOf((await live.next()).value!), 3);
  await live.return();
  t.deepEqual((await take(journal.watch({sinceNs: 0n}), 3)).map(numberOf), [1, 2, 3]);
  t.deepEqual(await take(journal.watch({sinceNs: START.timeNs + 1n, untilNs: START.timeNs + 2n}), 3), []);
});

test('an end in the future ends it then', async t => {
  const {journal} = ownJournal(t);
  const untilNs = BigInt(Date.now() + 30) * 1_000_000n;
  t.deepEqual(await take(journal.watch({sinceNs: 0n, untilNs}), 1), []);
  t.true(BigInt(Date.now()) * 1_000_000n >= untilNs);
});

test('an abort ends it with its reason, before, and while it waits', async t => {
  const {journal} = ownJournal(t);
  const reason = new Error('enough');
  await t.throwsAsync(take(journal.watch({signal: AbortSignal.abort(reason)}), 1), {is: reason});
  const abort = new AbortController();
  const waiting = take(journal.watch({signal: abort.signal}), 1);
  setImmediate(() => abort.abort(reason));
  await t.throwsAsync(waiting, {is: reason});
});

test('the journal is two files of a megabyte, and a watcher reads on over rotations', async t => {
  const {journal} = ownJournal(t);
  const padding = 'x'.repeat(4000);
  const count = Math.ceil((2.5 * JOURNAL_BYTES) / padding.length);
  const events = journal.watch({sinceNs: 0n});
  const seen: number[] = [];
  const first = events.next();
  journal.append([numbered(0)]);
  seen.push(numberOf((await first).value!));
  for (let number = 1; number < count; number++) {
    journal.append([numbered(number, padding)]);
    seen.push(numberOf((await events.next()).value!));
  }
  await events.return();
  t.deepEqual(
    seen,
    Array.from({length: count}, (_, number) => number),
  );
  const {current, previous} = journal.places;
  t.true(statSync(previous).size > JOURNAL_BYTES && statSync(previous).size < 1.1 * JOURNAL_BYTES);
  t.true(statSync(current).size <= JOURNAL_BYTES);
  const kept = await take(journal.watch({sinceNs: 0n, untilNs: START.timeNs}), count);
  t.is(numberOf(kept.at(-1)!), count - 1);
  t.deepEqual(kept.map(numberOf), seen.slice(-kept.length));
});

test('a file that became too long is renamed by who wrote the line, and kept by nobody', t => {
  const {journal} = ownJournal(t);
  journal.append([numbered(1)]);
  journal.append([numbered(2, 'x'.repeat(JOURNAL_BYTES))]);
  t.false(existsSync(journal.places.current));
  journal.append([numbered(3)]);
  t.true(readFileSync(journal.places.previous, 'utf8').includes('number=2'));
  t.regex(readFileSync(journal.places.current, 'utf8'), /^\n\S+ container start ab12 number=3 ;\n$/);
});

test('several processes at once lose nothing and mix no lines, over rotations', async t => {
  const {live, journal} = ownJournal(t);
  const program = `
    import {EventJournal} from '${new URL('../../src/store/event-journal.ts', import.meta.url).href}';
    const [live, writer] = process.argv.slice(1);
    const journal = new EventJournal(live);
    for (let number = 0; number < 700; number++) {
      journal.append([{timeNs: 1n, type: 'container', action: 'start', id: writer, attributes: {number: String(number), padding: 'x'.repeat(1000)}}]);
      if (number % 50 === 0) await new Promise(resolve => setTimeout(resolve, 1));
    }`;
  const writers = ['a', 'b', 'c'];
  const watching = take(journal.watch({sinceNs: 0n}), 700 * writers.length);
  const ends = writers.map(writer => {
    const args = ['--import=tsx', '--input-type=module', '--eval', program, live, writer];
    return once(spawn(process.execPath, args, {stdio: ['ignore', 'ignore', 'inherit']}), 'exit');
  });
  for (const end of await Promise.all(ends)) t.deepEqual(end, [0, null]);
  const seen = await watching;
  for (const writer of writers) {
    const own = seen.filter(({id}) => id === writer).map(numberOf);
    t.deepEqual(
      own.toSorted((a, b) => a - b),
      Array.from({length: 700}, (_, number) => number),
    );
  }
});

test('what cannot be written is lost, and said once', async t => {
  const {live} = ownJournal(t);
  const journal = new EventJournal(join(live, 'nowhere/\0'));
  const warned = once(process, 'warning');
  journal.append([numbered(1)]);
  journal.append([numbered(2)]);
  t.like((await warned)[0], {code: 'CORACLE_EVENTS_LOST'});
});
