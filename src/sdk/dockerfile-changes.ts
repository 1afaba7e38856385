import {CoracleError} from '../errors.js';
import type {ContainerDefaults} from '../oci/index.js';
import {envKey} from './env-key.js';

type Changed = {-readonly [Key in keyof ContainerDefaults]: ContainerDefaults[Key]};

/**
 * Applies the Dockerfile instructions that `docker import --change` and `docker commit --change` take: those that set
 * an image's configuration. Variables are not substituted.
 * @throws CoracleError `ERR_INVALID_OPTION` with Docker's words for an instruction that is no change
 */
export function applyChanges(config: ContainerDefaults, changes: readonly string[]): ContainerDefaults {
  const changed: Changed = {...config};
  for (const change of changes) apply(changed, change.trim());
  return changed;
}

function apply(config: Changed, change: string): void {
  const [, word = '', rest = ''] = /^(\S+)\s*([\s\S]*)$/.exec(change) ?? [];
  const instruction = word.toUpperCase();
  if (rest === '' && instruction !== 'CMD' && instruction !== 'ENTRYPOINT') {
    throw invalid(`${instruction || 'an empty change'} requires at least one argument`);
  }
  switch (instruction) {
    case 'CMD':
      config.Cmd = commandOf(rest);
      return;
    case 'ENTRYPOINT':
      config.Entrypoint = commandOf(rest);
      return;
    case 'ENV': {
      // A variable that is there keeps its place, as in Docker.
      const variables = new Map((config.Env ?? []).map(variable => [envKey(variable), variable]));
      for (const [key, value] of pairsOf(rest, instruction)) variables.set(key, `${key}=${value}`);
      config.Env = [...variables.values()];
      return;
    }
    case 'LABEL':
      config.Labels = {...config.Labels, ...Object.fromEntries(pairsOf(rest, instruction))};
      return;
    case 'WORKDIR':
      config.WorkingDir = rest;
      return;
    case 'USER':
      config.User = rest;
      return;
    case 'STOPSIGNAL':
      config.StopSignal = rest;
      return;
    case 'VOLUME':
      config.Volumes = {...config.Volumes, ...keysOf(jsonArray(rest) ?? rest.split(/\s+/))};
      return;
    case 'EXPOSE':
      config.ExposedPorts = {
        ...config.ExposedPorts,
        ...keysOf(rest.split(/\s+/).map(port => (port.includes('/') ? port.toLowerCase() : `${port}/tcp`))),
      };
      return;
    case 'HEALTHCHECK':
    case 'ONBUILD':
      throw invalid(`${instruction} comes with image building`);
    default:
      throw invalid(`${instruction} is not a valid change command`);
  }
}

/** The exec form is a JSON array; everything else is for a shell. */
function commandOf(text: string): readonly string[] {
  return jsonArray(text) ?? ['/bin/sh', '-c', text];
}

function jsonArray(text: string): string[] | undefined {
  if (!text.startsWith('[')) return undefined;
  try {
    const parsed: unknown = JSON.parse(text);
    return Array.isArray(parsed) && parsed.every(item => typeof item === 'string') ? parsed : undefined;
  } catch {
    return undefined; // Docker takes a malformed array for shell words too
  }
}

/** `KEY=value "KEY=with blanks"` or the old form `KEY value`. */
function pairsOf(text: string, instruction: string): [string, string][] {
  const words = text.match(/(?:[^\s"']|"(?:[^"\\]|\\.)*"|'[^']*')+/g) ?? [];
  if (!words[0]?.includes('=')) {
    const [, key = '', value] = /^(\S+)\s+([\s\S]*)$/.exec(text) ?? [];
    if (value === undefined) throw invalid(`${instruction} must have two arguments`);
    return [[key, value]];
  }
  return words.map(word => {
    const plain = word.replace(/"((?:[^"\\]|\\.)*)"|'([^']*)'/g, (_, double, single) =>
      single === undefined ? (double as string).replace(/\\(.)/g, '$1') : single,
    );
    const equals = plain.indexOf('=');
    if (equals < 1)
      throw invalid(
        `Syntax error - can't find = in ${JSON.stringify(word)}. Must be of the form: name=value`,
      );
    return [plain.slice(0, equals), plain.slice(equals + 1)];
  });
}

function keysOf(keys: readonly string[]): Record<string, Record<string, never>> {
  return Object.fromEntries(keys.map(key => [key, {}]));
}

function invalid(message: string): CoracleError {
  return new CoracleError('ERR_INVALID_OPTION', message, {details: {option: 'changes'}});
}
