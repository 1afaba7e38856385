import {readFileSync} from 'node:fs';
import test from 'ava';
import {drawChart} from '../../benchmarks/draw-chart.js';
import {interleave, quantile} from '../../benchmarks/interleave.js';
import {floorRatios, readRecorded, regressions} from '../../benchmarks/recorded.js';

test('the chart of the README is the one that the recorded figures give', t => {
  const chart = readFileSync(new URL('../../docs/cold-start.svg', import.meta.url), 'utf8');
  t.is(chart, drawChart(readRecorded()));
});

test('the recorded ratios are those of the recorded medians, of at least 200 rounds', t => {
  const recorded = readRecorded();
  t.deepEqual(recorded.floorRatios, floorRatios(recorded.coldStart));
  t.true(recorded.rounds >= 200);
});

test('a ratio counts as a regression only beyond the margin', t => {
  const before = {start: 1.2, life: 1.5, waitingStart: 1.6};
  t.deepEqual(regressions({start: 1.7, life: 2.2, waitingStart: 2.3}, before, 1.5), []);
  t.regex(
    regressions({start: 1.9, life: 2.2, waitingStart: 2.3}, before, 1.5).join('\n'),
    /^start: 1\.90 × floor .* recorded 1\.20$/,
  );
  t.is(regressions({start: 1.9, life: 3, waitingStart: 2.5}, before, 1.5).length, 3);
});

test('each round runs every contender once, and warm-up rounds are not counted', async t => {
  const order: string[] = [];
  const contender = (name: string) => ({
    name,
    once: async () => {
      order.push(name);
      return {lifeMs: 1};
    },
  });
  const samples = await interleave(['a', 'b', 'c'].map(contender), {rounds: 5, warmups: 2});
  t.is(order.length, 21);
  for (let round = 0; round < 7; round++) t.is(new Set(order.slice(round * 3, round * 3 + 3)).size, 3);
  t.deepEqual(samples['b'], {lifeMs: [1, 1, 1, 1, 1]});
});

test('a contender that fails ends the benchmark', async t => {
  const failing = {name: 'a', once: () => Promise.reject(new Error('exit 1'))};
  await t.throwsAsync(interleave([failing], {rounds: 1, warmups: 1}), {message: 'exit 1'});
});

test('quantiles are samples, not means', t => {
  t.is(quantile([4, 1, 3, 2], 0.5), 3);
  t.is(quantile([4, 1, 3, 2], 0), 1);
  t.is(quantile([4, 1, 3, 2], 1), 4);
  t.throws(() => quantile([], 0.5), {instanceOf: RangeError});
});
