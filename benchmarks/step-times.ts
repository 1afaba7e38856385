/**
 * Where the time of a start goes: the plan's steps as `--explain` measures them, in groups.
 *
 *     node --import=tsx benchmarks/step-times.ts [--starts 300]
 *
 * Each figure is the sum of its steps' medians (and minima), microseconds. A step's time is from the end of the one
 * before to its own end, so the first step of the new process carries the clone, and what follows a successful exec
 * carries that. The clock that the trace reads costs about 0.1 microseconds a step.
 */
import {Container} from './built-sdk.js';
import {quantile} from './interleave.js';
import {OPTIONS} from './isolation.js';
import {numberOptions} from './options.js';
import {hostFacts, printHost, printTable, writeResult} from './report.js';
import {IMAGE, Workplace} from './workplace.js';

/** The first that fits a step's "phase op: stage" is its group. */
const GROUPS: readonly (readonly [name: string, steps: RegExp])[] = [
  ["Coracle's record and name", /reserve the name|host \w+: record/],
  ['directories of the writable layer', /writable layer/],
  ['cgroups: make, limit', /host .*(cgroup [dpt]|limit|device rules|inherit)/],
  ['overlay', /overlay/],
  ['/etc files: write, clone as mounts', /host .*\/etc\//],
  ['sources of mounts', /host .*mount/],
  ['clone with namespaces, join the first cgroup', /CLONE/],
  ['/sys/fs/cgroup', /cgroup mounts/],
  ['join the other cgroups, cgroup namespace', /cgroup/],
  ['loopback interface, network sysctls', /loopback|sysctl/],
  ['mount namespace, root file system', /mount namespace|attach the root|switch the root/],
  ['/proc and /sys', /: (proc|sysfs)$/],
  ['/dev', /: (dev$|device |\/dev\/)/],
  ['/etc files: attach', /\/etc\//],
  ['read-only and masked paths', /read-only|mask/],
  ['limits of the process', /ulimit/],
  ['capabilities and ids', /capabilities|groups|: group|: user|no_new_privs/],
  ['seccomp filter', /seccomp/],
  ['exec, record of the pid', /^started/],
  ['the rest: session, names, streams, working directory', /./],
];

const {starts} = numberOptions({starts: 300});
await using place = await Workplace.open();
const runtime = await place.another(0);
const host = hostFacts(place.root);
printHost(host);

/** Microseconds of each start, by step. */
const samples: number[][] = [];
const names: string[] = [];
for (let start = -20; start < starts; start++) {
  const job = await Container.run(IMAGE, OPTIONS, {runtime, explain: true});
  let previous = '';
  job.steps.forEach(({phase, step, microseconds}, index) => {
    names[index] = phase === 'child' && previous === 'host' ? 'CLONE' : `${phase} ${step}`;
    previous = phase;
    if (microseconds === undefined || start < 0) return;
    samples[index] = [...(samples[index] ?? []), microseconds];
  });
  await job.exit;
}

const totals = new Map(GROUPS.map(([name]) => [name, {median: 0, min: 0, steps: 0}]));
samples.forEach((microseconds, index) => {
  const [group = ''] = GROUPS.find(([, steps]) => steps.test(names[index] ?? '')) ?? [];
  const total = totals.get(group)!;
  total.steps++;
  total.median += quantile(microseconds, 0.5);
  total.min += quantile(microseconds, 0);
});
const rows = [...totals].filter(([, {steps}]) => steps > 0);
const sum = (measure: 'median' | 'min' | 'steps') => rows.reduce((all, [, total]) => all + total[measure], 0);
printTable(
  ['microseconds', 'steps', 'median', 'min'],
  [
    ...rows.map(([name, {median, min, steps}]) => [name, String(steps), median.toFixed(0), min.toFixed(0)]),
    ['all', String(sum('steps')), sum('median').toFixed(0), sum('min').toFixed(0)],
  ],
);
writeResult('step-times', {host, starts, groups: Object.fromEntries(rows)});
