import test from 'ava';
import {detachFilter, parseDetachKeys} from '../../src/cli/detach-keys.js';

const reads = test.macro({
  exec(t, text: string | undefined, keys: readonly number[]) {
    t.deepEqual([...parseDetachKeys(text)], keys);
  },
  title: (_, text, keys) => `the detach keys ${text ?? 'by default'} are ${keys}`,
});
test(reads, undefined, [16, 17]);
test(reads, 'ctrl-a,x', [1, 120]);
test(reads, 'ctrl-@,ctrl-[,ctrl-_', [0, 27, 31]);

test('other words are refused', t => {
  t.throws(() => parseDetachKeys('zz'), {message: 'Invalid detach keys (zz) provided'});
});

test('the keys are found over several pieces; what only begins like them is handed on', t => {
  const filter = detachFilter(parseDetachKeys(undefined));
  const typed = (text: string) => {
    const {bytes, isDetached} = filter(Buffer.from(text));
    return [String(bytes), isDetached];
  };
  t.deepEqual(typed('ls\n'), ['ls\n', false]);
  t.deepEqual(typed('a\u0010'), ['a', false]);
  t.deepEqual(typed('b'), ['\u0010b', false]);
  t.deepEqual(typed('\u0010\u0010'), ['\u0010', false]);
  t.deepEqual(typed('\u0011rest'), ['', true]);
});
