import {CoracleError} from '../errors.js';
import type {ContainerDefaults} from '../oci/index.js';
import {
  applySetting,
  expandStep,
  parseInstruction,
  readInstruction,
  type Settings,
} from './dockerfile/index.js';
import {envKey} from './env-key.js';

/**
 * Applies the Dockerfile instructions that `docker import --change` and `docker commit --change` take: those that set
 * an image's configuration. Variables are those of the image.
 * @throws CoracleError `ERR_INVALID_OPTION` with Docker's words for an instruction that is no change
 */
export function applyChanges(config: ContainerDefaults, changes: readonly string[]): ContainerDefaults {
  let settings: Settings = {config, author: undefined, hasCommand: false};
  for (const change of changes) settings = apply(settings, change);
  return settings.config;
}

function apply(settings: Settings, change: string): Settings {
  try {
    const instruction = readInstruction(change);
    const {keyword} = instruction;
    if (!CHANGES.has(keyword)) throw invalid(`${keyword.toLowerCase()} is not a valid change command`);
    const step = parseInstruction(instruction);
    const lookup = (name: string) =>
      settings.config.Env?.find(variable => envKey(variable) === name)?.slice(name.length + 1);
    return applySetting(settings, expandStep(step, lookup, '\\') as Parameters<typeof applySetting>[1]);
  } catch (error) {
    if (!(error instanceof CoracleError) || error.code !== 'ERR_DOCKERFILE_SYNTAX') throw error;
    throw invalid(error.message.replace(/^dockerfile parse error on line \d+: /, ''), error);
  }
}

/** moby, builder/dockerfile/builder.go: validCommitCommands. */
const CHANGES = new Set('CMD ENTRYPOINT HEALTHCHECK ENV EXPOSE LABEL ONBUILD USER VOLUME WORKDIR'.split(' '));

function invalid(message: string, cause?: unknown): CoracleError {
  return new CoracleError('ERR_INVALID_OPTION', message, {cause, details: {option: 'changes'}});
}
