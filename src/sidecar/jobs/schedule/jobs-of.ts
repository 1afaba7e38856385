import type {Runtime} from '../../../sdk/index.js';
import {jobsOfLabels} from './label-jobs.js';
import type {Job, ScheduleConfig} from './schedule-config.js';

/** The jobs of a configuration as containers are now, and what is wrong with labels, one line each. */
export function jobsOf(
  {jobs, containers}: ScheduleConfig,
  runtime: Runtime,
): {readonly jobs: readonly Job[]; readonly problems: readonly string[]} {
  if (containers === undefined) return {jobs, problems: []};
  const labelled = jobsOfLabels(runtime.listContainers(), containers);
  return {
    jobs: [...jobs, ...labelled.jobs],
    problems: labelled.problems.map(({container, error}) => `container ${container}: ${error.message}`),
  };
}
