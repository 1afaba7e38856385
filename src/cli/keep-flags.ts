import type {KeepRules} from '../sidecar/index.js';
import type {Call, Flag} from './command.js';

const PERIODS = ['last', 'hourly', 'daily', 'weekly', 'monthly', 'yearly'] as const;

/** With restic's names and meaning. */
export const KEEP_FLAGS: readonly Flag[] = [
  ...PERIODS.map(period => ({
    name: `keep-${period}`,
    type: 'int',
    summary:
      period === 'last' ? 'Keep the newest N snapshots' : `Keep the newest of each of N ${noun(period)}`,
    check: checkCount,
  })),
  {name: 'keep-tag', type: 'list', summary: 'Keep what has this tag, or all of TAG,TAG'},
];

function noun(period: (typeof PERIODS)[number]): string {
  return period === 'daily' ? 'days' : `${period.slice(0, -2)}s`;
}

function checkCount(text: string): void {
  if (!/^\d{1,9}$/.test(text)) throw new Error('must be a whole number, 0 or more');
}

/** Undefined without any. */
export function keepRulesOf(call: Call): KeepRules | undefined {
  const rules = Object.fromEntries(
    PERIODS.flatMap(period => {
      const value = call.value(`keep-${period}`);
      return value === undefined ? [] : [[period, Number(value)]];
    }),
  );
  const tags = call.values('keep-tag').map(list => list.split(','));
  return Object.keys(rules).length === 0 && tags.length === 0 ? undefined : {...rules, tags};
}
