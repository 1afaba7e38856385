import test from 'ava';
import {goQuote} from '../../src/cli/go-quote.js';
import {humanSize} from '../../src/cli/human-size.js';
import {goTime, humanDuration} from '../../src/cli/human-time.js';
import {escapeControl} from '../../src/cli/print-list.js';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const lasts = test.macro({
  exec(t, milliseconds: number, text: string) {
    t.is(humanDuration(milliseconds), text);
  },
  title: (_, milliseconds, text) => `${milliseconds} ms are "${text}"`,
});
test(lasts, 0, 'Less than a second');
test(lasts, 999, 'Less than a second');
test(lasts, SECOND, '1 second');
test(lasts, 59.9 * SECOND, '59 seconds');
test(lasts, MINUTE, 'About a minute');
test(lasts, 1.9 * MINUTE, 'About a minute');
test(lasts, 59 * MINUTE, '59 minutes');
test(lasts, HOUR, 'About an hour');
test(lasts, 1.5 * HOUR, '2 hours');
test(lasts, 47 * HOUR, '47 hours');
test(lasts, 2 * DAY, '2 days');
test(lasts, 13 * DAY, '13 days');
test(lasts, 14 * DAY, '2 weeks');
test(lasts, 60 * DAY, '2 months');
test(lasts, 730 * DAY, '2 years');

const weighs = test.macro({
  exec(t, bytes: number, digits: number, text: string) {
    t.is(humanSize(bytes, digits), text);
  },
  title: (_, bytes, digits, text) => `${bytes} bytes in ${digits} digits are ${text}`,
});
test(weighs, 0, 3, '0B');
test(weighs, 999, 3, '999B');
test(weighs, 1000, 3, '1kB');
test(weighs, 1_234_567, 3, '1.23MB');
test(weighs, 1_982_298, 3, '1.98MB');
test(weighs, 1_982_298, 4, '1.982MB');
test(weighs, 123_456_789, 3, '123MB');
test(weighs, 999_900, 3, '1e+03kB');
test(weighs, 5e9, 3, '5GB');

test('times are written as Go writes them', t => {
  t.regex(goTime(new Date('2020-09-13T12:26:40Z')), /^2020-09-1[34] \d\d:26:40 [+-]\d{4} \S+$/);
});

test('commands are quoted as Go quotes strings', t => {
  t.is(goQuote('sh -c "echo \\ é…"'), '"sh -c \\"echo \\\\ é…\\""');
  t.is(goQuote('a\tb\n\u001b[31m\u0000'), '"a\\tb\\n\\x1b[31m\\x00"');
  t.is(goQuote('\u200b\u{e0001}'), '"\\u200b\\U000e0001"');
});

test('control characters are written out', t => {
  t.is(escapeControl('a\u001b[2Jb\u009b'), 'a\\x1b[2Jb\\x9b');
});
