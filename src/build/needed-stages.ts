/** Which stages a build needs: the one it ends with, and those that others of them name. Pure. */
import {CoracleError} from '../errors.js';
import type {Stage, StagedDockerfile} from '../sdk/index.js';
import {sourceError} from './build-error.js';

/** The stage to end with. @throws `ERR_BUILD_TARGET` */
export function targetStage({stages}: StagedDockerfile, target: string | undefined): Stage {
  if (target === undefined || target === '') return stages.at(-1)!;
  const found = stageNamed(stages, target);
  if (found !== undefined) return found;
  throw new CoracleError('ERR_BUILD_TARGET', `target stage ${JSON.stringify(target)} could not be found`, {
    details: {target, stages: stages.flatMap(({from}) => from.name ?? [])},
  });
}

/** In the order of the file. @param nameOf what a stage's FROM names, with its variables */
export function neededStages(
  {stages}: StagedDockerfile,
  target: Stage,
  nameOf: (stage: Stage) => string,
): Stage[] {
  const needed = new Set<Stage>();
  const add = (stage: Stage): void => {
    if (needed.has(stage)) return;
    needed.add(stage);
    const before = stages.slice(0, stage.index);
    const base = before.findLast(({from}) => from.name === nameOf(stage).toLowerCase());
    if (base !== undefined) add(base);
    for (const name of stage.steps.flatMap(referencesOf)) {
      const other = stageNamed(before, name);
      if (other !== undefined) add(other);
    }
  };
  add(target);
  return [...needed].sort((a, b) => a.index - b.index);
}

function referencesOf(step: Stage['steps'][number]): string[] {
  if (step.kind === 'copy') return step.from === undefined ? [] : [step.from];
  if (step.kind !== 'run') return [];
  return step.mounts.flatMap(mount => /(?:^|,)from=([^,]*)/i.exec(mount)?.[1] ?? []);
}

/** By name, the last one of it, or by number. */
export function stageNamed(stages: readonly Stage[], name: string): Stage | undefined {
  const named = stages.findLast(({from}) => from.name === name.toLowerCase());
  return named ?? (isNumber(name) ? stages[Number(name)] : undefined);
}

/** What `--from` of a stage names: one before it, or undefined for an image. @throws `ERR_BUILD_SOURCE` for a number of none */
export function stageBefore(stages: readonly Stage[], user: Stage, name: string): Stage | undefined {
  const stage = stageNamed(stages.slice(0, user.index), name);
  if (stage !== undefined || !isNumber(name)) return stage;
  const why = Number(name) === user.index ? 'refers to current build stage' : 'index out of bounds';
  throw sourceError(`invalid from flag value ${name}: ${why}`);
}

/** As Go reads one. */
function isNumber(name: string): boolean {
  return /^[+-]?\d+$/.test(name);
}
