/** A Dockerfile as its stages. */
import type {Of, Step} from './instructions.js';
import {parseInstruction} from './parse-instruction.js';
import {type Dockerfile, readDockerfile} from './read-dockerfile.js';
import {syntaxError} from './syntax-error.js';

export interface Stage {
  readonly index: number;
  readonly from: Of<'from'> & Step;
  /** In the order of the file, without FROM. */
  readonly steps: readonly Step[];
}

export interface StagedDockerfile extends Dockerfile {
  /** `ARG` before the first `FROM`: for the `FROM`s alone. */
  readonly globalArgs: readonly (Of<'arg'> & Step)[];
  readonly stages: readonly Stage[];
}

/** @throws `ERR_DOCKERFILE_SYNTAX` */
export function parseDockerfile(source: string | Uint8Array): StagedDockerfile {
  const dockerfile = readDockerfile(source);
  const globalArgs: (Of<'arg'> & Step)[] = [];
  const stages: {index: number; from: Of<'from'> & Step; steps: Step[]}[] = [];
  for (const instruction of dockerfile.instructions) {
    const step = parseInstruction(instruction, dockerfile.escapeToken);
    const current = stages.at(-1);
    if (step.kind === 'from') stages.push({index: stages.length, from: step, steps: []});
    else if (current !== undefined) current.steps.push(step);
    else if (step.kind === 'arg') globalArgs.push(step);
    else throw syntaxError('no build stage in current context', instruction, instruction.text);
  }
  if (stages.length === 0) {
    const [first] = dockerfile.instructions;
    throw syntaxError('no build stage in current context', first!, first!.text);
  }
  return {...dockerfile, globalArgs, stages};
}
