import test from 'ava';
import {goDuration} from '../../src/sdk/health-state.js';
import {healthTimes, mergeHealthcheck, probeCommand} from '../../src/sdk/healthcheck.js';
import {normalizeRunOptions} from '../../src/sdk/normalize-run-options.js';
import {parseGoDuration} from '../../src/sdk/parse-go-duration.js';
import type {RunOptions} from '../../src/sdk/run-options.js';

test('a string is for the shell, a list is executed as it is', t => {
  t.deepEqual(mergeHealthcheck({command: 'pg_isready'}, undefined), {Test: ['CMD-SHELL', 'pg_isready']});
  t.deepEqual(mergeHealthcheck({command: ['true', 'x']}, undefined), {Test: ['CMD', 'true', 'x']});
  t.deepEqual(probeCommand({healthcheck: {Test: ['CMD-SHELL', 'a b']}, shell: null}), [
    '/bin/sh',
    '-c',
    'a b',
  ]);
  t.deepEqual(probeCommand({healthcheck: {Test: ['CMD-SHELL', 'a b']}, shell: ['/bin/bash', '-ec']}), [
    '/bin/bash',
    '-ec',
    'a b',
  ]);
  t.deepEqual(probeCommand({healthcheck: {Test: ['CMD', 'a', 'b']}, shell: null}), ['a', 'b']);
});

test('what options do not say is what the image says', t => {
  const image = {Test: ['CMD', 'probe'], Interval: 5e9, Timeout: 2e9, Retries: 7};
  t.deepEqual(mergeHealthcheck(undefined, image), image);
  t.deepEqual(mergeHealthcheck({intervalMs: 1000, retries: 0}, image), {...image, Interval: 1e9});
  t.deepEqual(mergeHealthcheck({command: 'x', startPeriodMs: 1.5}, image), {
    ...image,
    Test: ['CMD-SHELL', 'x'],
    StartPeriod: 1_500_000,
  });
  t.is(mergeHealthcheck(undefined, undefined), null);
});

test("'none' is no health check, whatever the image says; nor is one without a command, or of a kind that nobody knows", t => {
  const none = mergeHealthcheck('none', {Test: ['CMD', 'probe'], Retries: 2});
  t.is(probeCommand({healthcheck: none, shell: null}), undefined);
  for (const Test of [undefined, [], ['NONE'], ['NOPE', 'x'], ['CMD']])
    t.is(probeCommand({healthcheck: {...(Test && {Test})}, shell: null}), undefined);
});

test("times that nobody gave are Docker's", t => {
  t.deepEqual(healthTimes({Interval: 0, Timeout: 1e6}), {
    intervalNs: 30e9,
    timeoutNs: 1e6,
    startPeriodNs: 0,
    startIntervalNs: 5e9,
    startDeadlineNs: 30e9,
    retries: 3,
  });
});

const refuses = test.macro({
  exec(t, healthcheck: unknown, message: RegExp, option: string) {
    const error = t.throws(() => normalizeRunOptions({healthcheck} as RunOptions), {
      code: 'ERR_INVALID_OPTION',
      message,
    }) as Error & {details: {option: string}};
    t.is(error.details.option, option);
  },
  title: (_, healthcheck, message) =>
    `healthcheck ${JSON.stringify(healthcheck)} is refused: ${String(message)}`,
});
test(refuses, 'off', /must be 'none' or an object/, 'healthcheck');
test(refuses, {cmd: 'x'}, /unknown option healthcheck\.cmd/, 'healthcheck.cmd');
test(refuses, {command: []}, /must not be empty/, 'healthcheck.command');
test(refuses, {command: 'a\0b'}, /NUL/, 'healthcheck.command');
test(
  refuses,
  {intervalMs: 0.5},
  /^Interval in Healthcheck cannot be less than 1ms$/,
  'healthcheck.intervalMs',
);
test(refuses, {timeoutMs: -1}, /^Timeout in Healthcheck cannot be less than 1ms$/, 'healthcheck.timeoutMs');
test(refuses, {startPeriodMs: '1s'}, /must be a number of milliseconds/, 'healthcheck.startPeriodMs');
test(refuses, {startIntervalMs: 0.1}, /^StartInterval in/, 'healthcheck.startIntervalMs');
test(refuses, {retries: -1}, /^Retries in Healthcheck cannot be negative$/, 'healthcheck.retries');
test(refuses, {retries: 1.5}, /whole number/, 'healthcheck.retries');

const duration = test.macro({
  exec(t, text: string, expected: number | string) {
    if (typeof expected === 'number') t.is(parseGoDuration(text), expected);
    else t.throws(() => parseGoDuration(text), {message: expected});
  },
  title: (_, text, expected) => `the duration ${JSON.stringify(text)} is ${expected}`,
});
test(duration, '1m30s', 90e9);
test(duration, '1.5h', 5400e9);
test(duration, '250ms', 250e6);
test(duration, '1us', 1000);
test(duration, '2µs3ns', 2003);
test(duration, '0', 0);
test(duration, '-1s', -1e9);
test(duration, '.5s', 500e6);
test(duration, 'nope', 'time: invalid duration "nope"');
test(duration, '', 'time: invalid duration ""');
test(duration, '1', 'time: missing unit in duration "1"');
test(duration, '3d', 'time: unknown unit "d" in duration "3d"');

test('nanoseconds are printed as Go prints a duration', t => {
  for (const [ns, text] of [
    [30e9, '30s'],
    [90e9, '1m30s'],
    [1.5e9, '1.5s'],
    [3600e9, '1h0m0s'],
    [500e6, '500ms'],
    [1500e3, '1.5ms'],
    [1, '1ns'],
  ] as const)
    t.is(goDuration(ns), text);
});
