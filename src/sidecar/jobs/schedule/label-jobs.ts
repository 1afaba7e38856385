import {type ContainerDefaults, invalid, type Job, parseJob} from './schedule-config.js';

export const SCHEDULE_LABEL = 'coracle.backup.schedule';
const PREFIX = 'coracle.backup.';

export interface Labelled {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
}

export interface LabelJobs {
  readonly jobs: readonly Job[];
  /** Containers whose labels cannot be used, and why: the others are saved all the same. */
  readonly problems: readonly {readonly container: string; readonly error: Error}[];
}

/** A job for each container with the label: all its volumes, by what its labels say over the defaults. */
export function jobsOfLabels(containers: readonly Labelled[], defaults: ContainerDefaults): LabelJobs {
  const jobs: Job[] = [];
  const problems: {container: string; error: Error}[] = [];
  for (const {name, labels} of containers) {
    if (labels[SCHEDULE_LABEL] === undefined || labels['coracle.sidecar'] !== undefined) continue;
    try {
      jobs.push(jobOf(name, labels, defaults));
    } catch (error) {
      problems.push({container: name, error: error as Error});
    }
  }
  return {jobs, problems};
}

function jobOf(
  container: string,
  labels: Readonly<Record<string, string>>,
  defaults: ContainerDefaults,
): Job {
  const fields: Record<string, unknown> = {...defaults, volumesFrom: [container]};
  const keep: Record<string, unknown> = {};
  const drill: Record<string, unknown> = {...defaults.drill};
  for (const [label, value] of Object.entries(labels)) {
    if (!label.startsWith(PREFIX)) continue;
    const key = label.slice(PREFIX.length);
    if (OF_THE_CONTAINER.has(key)) continue;
    const [, period] = /^keep-(last|hourly|daily|weekly|monthly|yearly)$/.exec(key) ?? [];
    if (period !== undefined) keep[period] = numberOf(label, value);
    else if (key === 'keep-tag') keep['tags'] = value.split(';').map(list => list.split(','));
    else if (key === 'check') drill['check'] = value;
    else if (key === 'drill') {
      if (!isTrue(label, value)) drill['off'] = true;
    } else if (Object.hasOwn(PLAIN, key)) fields[PLAIN[key]!.field] = PLAIN[key]!.read(label, value);
    else throw invalid(`unknown label ${label}`);
  }
  if (Object.keys(keep).length > 0) fields['keep'] = keep;
  const wantsDrill = defaults.drill !== undefined || labels[`${PREFIX}drill`] !== undefined;
  if (drill['off'] === true) delete fields['drill'];
  else if (wantsDrill || drill['check'] !== undefined) fields['drill'] = drill;
  return parseJob(`container:${container}`, fields);
}

/** What the container itself is asked for: its hooks, and its place in the order. */
const OF_THE_CONTAINER: ReadonlySet<string> = new Set(['pre', 'post', 'order']);

/** Neither keys nor commands of the host's: who may label a container may not do that. */
const PLAIN: Readonly<
  Record<string, {readonly field: string; readonly read: (label: string, value: string) => unknown}>
> = {
  schedule: {field: 'schedule', read: text},
  timezone: {field: 'timezone', read: text},
  repo: {field: 'repository', read: text},
  consistency: {field: 'consistency', read: text},
  fallback: {field: 'fallback', read: text},
  tags: {field: 'tags', read: (_, value) => value.split(',')},
  prune: {field: 'prune', read: isTrue},
};

function text(_: string, value: string): string {
  return value;
}

function numberOf(label: string, value: string): number {
  if (/^\d{1,9}$/.test(value)) return Number(value);
  throw invalid(`label ${label} must be a whole number, not ${JSON.stringify(value)}`);
}

function isTrue(label: string, value: string): boolean {
  if (value === 'true' || value === '1') return true;
  if (value === 'false' || value === '0') return false;
  throw invalid(`label ${label} must be true or false, not ${JSON.stringify(value)}`);
}
