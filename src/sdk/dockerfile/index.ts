/** Dockerfiles as data: from their text to instructions, and what those make of an image's configuration. Pure. */
export {
  applySetting,
  argumentsOf,
  DEFAULT_SHELL,
  describeSetting,
  type Setting,
  type Settings,
  withVariables,
  workingDirectory,
} from './apply-statement.js';
export {expandStep} from './expand-statement.js';
export {type ExpandOptions, expandWord, expandWords} from './expand-words.js';
export type {CommandLine, CopySources, Of, Pair, Statement, Step} from './instructions.js';
export {parseInstruction} from './parse-instruction.js';
export {
  DOCKERFILE_BYTES,
  type Heredoc,
  type Instruction,
  readDockerfile,
  readInstruction,
} from './read-dockerfile.js';
export {parseDockerfile, type Stage, type StagedDockerfile} from './stages.js';
export {type Place, syntaxError, WordError} from './syntax-error.js';
