import {CoracleError} from '../errors.js';
import type {ContainerDefaults} from '../oci/index.js';
import {
  applySetting,
  expandStep,
  type Instruction,
  parseInstruction,
  readDockerfile,
  type Settings,
} from './dockerfile/index.js';
import {envKey} from './env-key.js';

/**
 * Applies the Dockerfile instructions that `docker import --change` and `docker commit --change` take: those that set
 * an image's configuration. Variables are those of the image.
 * @throws CoracleError `ERR_INVALID_OPTION` with Docker's words for an instruction that is no change
 */
export function applyChanges(config: ContainerDefaults, changes: readonly string[]): ContainerDefaults {
  if (changes.length === 0) return config;
  try {
    // One text, as for dockerd: an instruction may go on in the next line, and in the next change.
    const {instructions, escapeToken} = readDockerfile(changes.join('\n'));
    const other = instructions.find(({keyword}) => !CHANGES.has(keyword));
    if (other !== undefined) throw invalid(`${other.keyword.toLowerCase()} is not a valid change command`);
    let settings: Settings = {config, author: undefined, hasCommand: false};
    for (const instruction of instructions) settings = apply(settings, instruction, escapeToken);
    return settings.config;
  } catch (error) {
    if (!(error instanceof CoracleError) || error.code !== 'ERR_DOCKERFILE_SYNTAX') throw error;
    throw invalid(error.message.replace(/^dockerfile parse error on line \d+: /, ''), error);
  }
}

function apply(settings: Settings, instruction: Instruction, escapeToken: string): Settings {
  const step = parseInstruction(instruction);
  const lookup = (name: string) =>
    settings.config.Env?.find(variable => envKey(variable) === name)?.slice(name.length + 1);
  return applySetting(settings, expandStep(step, lookup, escapeToken) as Parameters<typeof applySetting>[1]);
}

/** moby, builder/dockerfile/builder.go: validCommitCommands. */
const CHANGES = new Set('CMD ENTRYPOINT HEALTHCHECK ENV EXPOSE LABEL ONBUILD USER VOLUME WORKDIR'.split(' '));

function invalid(message: string, cause?: unknown): CoracleError {
  return new CoracleError('ERR_INVALID_OPTION', message, {cause, details: {option: 'changes'}});
}
