import {readFileSync} from 'node:fs';
import test from 'ava';
import {chooseRemoved} from '../../../src/sidecar/jobs/forget.js';
import {groupSnapshots, judge, type KeepRules} from '../../../src/sidecar/jobs/keep-rules.js';
import type {Snapshot} from '../../../src/sidecar/repository.js';

interface Recorded {
  readonly snapshots: readonly Pick<Snapshot, 'time' | 'host' | 'tags'>[];
  readonly answers: readonly {
    readonly rules: string;
    readonly kept: readonly {
      readonly time: string;
      readonly host: string;
      readonly matches: readonly string[];
    }[];
  }[];
}

/** What restic answered: scripts/record-restic-forget.mjs. */
const recorded = JSON.parse(
  readFileSync(new URL('../../fixtures/restic/forget.json', import.meta.url), 'utf8'),
) as Recorded;

function snapshot(facts: Partial<Snapshot>, number: number): Snapshot {
  return {
    id: `sha256:${number.toString(16).padStart(64, '0')}`,
    time: '2025-01-01T00:00:00Z',
    host: 'h',
    tags: [],
    consistency: 'none',
    paused: [],
    pausedMs: 0,
    applications: [],
    parts: [{kind: 'volume', name: 'data', entries: 1, bytes: 0}],
    addedBytes: 0,
    ...facts,
  };
}

const snapshots = recorded.snapshots.map(snapshot);

function rulesOf(words: string): KeepRules {
  const rules: Record<string, number> = {};
  const tags: string[][] = [];
  for (const [, name, value] of words.matchAll(/--keep-(\w+) (\S+)/g))
    if (name === 'tag') tags.push(value!.split(','));
    else rules[name!] = Number(value);
  return {...rules, tags};
}

const sorted = <T extends {readonly host: string; readonly time: string}>(list: readonly T[]) =>
  list.toSorted((a, b) => (a.host + a.time < b.host + b.time ? -1 : 1));

for (const {rules, kept} of recorded.answers)
  test(`${rules} keeps what restic keeps, for the same reasons`, t => {
    const ours = groupSnapshots(snapshots).flatMap(group =>
      judge(group.snapshots, rulesOf(rules))
        .filter(({reasons}) => reasons.length > 0)
        .map(({snapshot: {time, host}, reasons}) => ({time, host, matches: reasons})),
    );
    t.deepEqual(sorted(ours), sorted(kept));
  });

test('rules count in each group for itself: one host, the same volumes', t => {
  const parts = (...names: string[]) =>
    names.map(name => ({kind: 'volume', name, entries: 1, bytes: 0}) as const);
  const all = [
    snapshot({parts: parts('a', 'b'), time: '2025-01-01T00:00:00Z'}, 1),
    snapshot({parts: parts('b', 'a'), time: '2025-01-02T00:00:00Z'}, 2),
    snapshot({parts: parts('a'), time: '2025-01-01T00:00:00Z'}, 3),
    snapshot({parts: parts('a'), time: '2025-01-01T00:00:00Z', host: 'g'}, 4),
  ];
  const ids = (list: readonly Snapshot[]) => list.map(({id}) => Number.parseInt(id.slice(-2), 16));
  const groups = chooseRemoved(all, {keep: {last: 1}});
  t.deepEqual(
    groups.map(({host, parts, kept, removed}) => [
      host,
      parts.join(),
      ids(kept.map(each => each.snapshot)),
      ids(removed),
    ]),
    [
      ['g', 'a', [4], []],
      ['h', 'a,b', [2], [1]],
      ['h', 'a', [3], []],
    ],
  );
  const only = chooseRemoved(all, {keep: {last: 1}, host: 'h', parts: ['b']});
  t.deepEqual(
    only.map(({removed}) => ids(removed)),
    [[1]],
  );
});

test('rules that say nothing, or would leave nothing of a group, are refused', t => {
  t.throws(() => chooseRemoved(snapshots, {keep: {}}), {code: 'ERR_INVALID_OPTION', message: /no rule/});
  t.throws(() => chooseRemoved(snapshots, {keep: {daily: 1.5}}), {message: /whole number, not 1\.5/});
  t.throws(() => chooseRemoved(snapshots, {keep: {daily: -1}}), {code: 'ERR_INVALID_OPTION'});
  t.throws(() => chooseRemoved(snapshots, {}), {message: /either rules or the ids/});
  t.throws(() => chooseRemoved(snapshots, {keep: {tags: [['nobody has it']]}}), {
    code: 'ERR_INVALID_OPTION',
    message: 'the rules would leave nothing of data by first',
  });
});
