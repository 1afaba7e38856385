import type {ExplainedStep} from '../sdk/index.js';
import {alignColumns} from './align-columns.js';

/** The plan of a start, one line per step, or as JSON for programs such as the floor benchmark. */
export function explainSteps(steps: readonly ExplainedStep[], json: boolean): string {
  if (json) return `${JSON.stringify(steps)}\n`;
  const total = steps.reduce((sum, {microseconds = 0}) => sum + microseconds, 0);
  const rows = steps.map(({phase, step, subject, microseconds}) => [
    phase,
    step,
    subject,
    time(microseconds),
  ]);
  return alignColumns([['PHASE', 'STEP', 'SUBJECT', 'TIME'], ...rows, ['', '', 'all steps', time(total)]]);
}

function time(microseconds: number | undefined): string {
  return microseconds === undefined ? '-' : `${microseconds.toFixed(1)} µs`;
}
