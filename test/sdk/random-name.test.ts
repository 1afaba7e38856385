import test from 'ava';
import {normalizeRunOptions} from '../../src/sdk/normalize-run-options.js';
import {randomName} from '../../src/sdk/random-name.js';

test('a random name is an adjective and a surname', t => {
  t.regex(randomName(), /^[a-z]+_[a-z]+$/);
});

test('from the fourth attempt on it ends in a number', t => {
  t.regex(randomName(2), /[a-z]$/);
  t.regex(randomName(3), /^[a-z]+_[a-z]+\d{1,4}$/);
});

test('every name it can give is one that a container may have', t => {
  const corners = [0, 0.25, 0.5, 0.75, 1 - Number.EPSILON];
  for (const value of corners) t.notThrows(() => normalizeRunOptions({name: randomName(3, () => value)}));
});

test('a thousand names are mostly different', t => {
  t.true(new Set(Array.from({length: 1000}, () => randomName())).size > 700);
});
