/** What instructions make of an image's configuration, and what its history tells of them. Pure. */
import {posix} from 'node:path';
import {CoracleError} from '../../errors.js';
import type {ContainerDefaults, Healthcheck} from '../../oci/index.js';
import {envKey} from '../env-key.js';
import {parsePortSpec} from '../parse-port.js';
import {parseSignal} from '../parse-signal.js';
import type {CommandLine, Statement} from './instructions.js';

/** What of an image its instructions set. */
export interface Settings {
  readonly config: ContainerDefaults;
  readonly author: string | undefined;
  /** CMD was given in this stage: an ENTRYPOINT leaves it alone. */
  readonly hasCommand: boolean;
}

/** Those that set an image's configuration and touch no file. */
export type Setting = Exclude<Statement, {readonly kind: 'from' | 'run' | 'copy' | 'add' | 'arg'}>;

export const DEFAULT_SHELL: readonly string[] = ['/bin/sh', '-c'];

/** @throws `ERR_INVALID_OPTION` for ports, signals and paths that are none */
export function applySetting(settings: Settings, statement: Setting): Settings {
  const {config} = settings;
  const change = (changed: Partial<ContainerDefaults>): Settings => ({
    ...settings,
    config: {...config, ...changed},
  });
  switch (statement.kind) {
    case 'env':
      return change({Env: withVariables(config.Env, statement.pairs)});
    case 'label':
      return change({
        Labels: {
          ...config.Labels,
          ...Object.fromEntries(statement.pairs.map(({name, value}) => [name, value])),
        },
      });
    case 'maintainer':
      return {...settings, author: statement.author};
    case 'cmd':
      return {
        ...change({Cmd: argumentsOf(statement.command, config)}),
        hasCommand: statement.command !== undefined,
      };
    case 'entrypoint': {
      const {Entrypoint: _old, ...others} = config;
      const {command} = statement;
      const entrypoint = command === undefined ? {} : {Entrypoint: argumentsOf(command, config)};
      const {Cmd: _forgotten, ...withoutCommand} = others;
      return {...settings, config: {...(settings.hasCommand ? others : withoutCommand), ...entrypoint}};
    }
    case 'shell':
      return change({Shell: statement.shell});
    case 'workdir':
      return change({WorkingDir: workingDirectory(config.WorkingDir, statement.path)});
    case 'user':
      return change({User: statement.user});
    case 'volume':
      if (statement.paths.includes(''))
        throw new CoracleError('ERR_INVALID_OPTION', 'VOLUME specified can not be an empty string');
      return change({Volumes: {...config.Volumes, ...keySet(statement.paths)}});
    case 'expose':
      return change({ExposedPorts: {...config.ExposedPorts, ...keySet(statement.ports.flatMap(exposed))}});
    case 'stopsignal':
      parseSignal(statement.signal);
      return change({StopSignal: statement.signal});
    case 'healthcheck':
      return change({Healthcheck: statement.healthcheck});
    case 'onbuild':
      return change({OnBuild: [...(config.OnBuild ?? []), statement.trigger]});
    default:
      return statement satisfies never;
  }
}

/** The words that are executed. */
export function argumentsOf(command: CommandLine | undefined, {Shell}: ContainerDefaults): readonly string[] {
  if (command === undefined) return [];
  return command.form === 'exec' ? command.words : [...(Shell ?? DEFAULT_SHELL), command.text];
}

/** A relative one continues the one before it. */
export function workingDirectory(current: string | undefined, path: string): string {
  if (path === '') throw new CoracleError('ERR_INVALID_OPTION', 'cannot normalize nothing');
  return posix.join('/', posix.isAbsolute(path) ? '' : (current ?? ''), path).replace(/(?<=.)\/+$/, '');
}

/** In their places, when they were there before. */
export function withVariables(
  before: readonly string[] | undefined,
  pairs: readonly {readonly name: string; readonly value: string}[],
): readonly string[] {
  const variables = new Map((before ?? []).map(variable => [envKey(variable), variable]));
  for (const {name, value} of pairs) variables.set(name, `${name}=${value}`);
  return [...variables.values()];
}

/** The part for the host, which old files have, means nothing in an image. */
function exposed(port: string): string[] {
  try {
    return parsePortSpec(port).map(({containerPort, protocol}) => `${containerPort}/${protocol}`);
  } catch (error) {
    const {code, message, details} = error as CoracleError;
    // dockerd begins what its client says later with a capital letter.
    throw new CoracleError(code, message[0]!.toUpperCase() + message.slice(1), {cause: error, details});
  }
}

function keySet(keys: readonly string[]): Record<string, Record<string, never>> {
  return Object.fromEntries(keys.map(key => [key, {}]));
}

/** As `docker history` shows it after `#(nop) `: the classic builder's words. */
export function describeSetting(statement: Setting, config: ContainerDefaults): string {
  const pairs = (list: readonly {readonly name: string; readonly value: string}[]) =>
    list.map(({name, value}) => `${name}=${value}`).join(' ');
  switch (statement.kind) {
    case 'env':
      return ` ENV ${pairs(statement.pairs)}`;
    case 'label':
      return ` LABEL ${pairs(statement.pairs)}`;
    case 'maintainer':
      return ` MAINTAINER ${statement.author}`;
    case 'cmd':
      return ` CMD ${goList(argumentsOf(statement.command, config))}`;
    case 'entrypoint':
      return ` ENTRYPOINT ${goList(argumentsOf(statement.command, config))}`;
    case 'shell':
      return ` SHELL [${statement.shell.join(' ')}]`;
    case 'workdir':
      return `WORKDIR ${config.WorkingDir ?? ''}`;
    case 'user':
      return ` USER ${statement.user}`;
    case 'volume':
      return ` VOLUME [${statement.paths.join(' ')}]`;
    case 'expose':
      return ` EXPOSE ${statement.ports.join(' ')}`;
    case 'stopsignal':
      return ` STOPSIGNAL ${statement.signal}`;
    case 'healthcheck':
      return ` HEALTHCHECK ${goHealthcheck(statement.healthcheck)}`;
    case 'onbuild':
      return ` ONBUILD ${statement.trigger}`;
    default:
      return statement satisfies never;
  }
}

/** Go's `%q` of a list of strings. */
function goList(words: readonly string[]): string {
  return `[${words.map(word => JSON.stringify(word)).join(' ')}]`;
}

/** Go's `%q` of a pointer to the structure. */
function goHealthcheck({
  Test = [],
  Interval = 0,
  Timeout = 0,
  StartPeriod = 0,
  Retries = 0,
}: Healthcheck): string {
  const seconds = (nanoseconds: number) => JSON.stringify(goDuration(nanoseconds));
  const retries = `'\\x${Retries.toString(16).padStart(2, '0')}'`;
  return `&{${goList(Test)} ${seconds(Interval)} ${seconds(Timeout)} ${seconds(StartPeriod)} ${retries}}`;
}

/** As Go prints a duration: `1m30s`, `500ms`, `0s`. */
function goDuration(nanoseconds: number): string {
  if (nanoseconds === 0) return '0s';
  if (nanoseconds < 1e9) return `${nanoseconds / 1e6}ms`;
  const seconds = nanoseconds / 1e9;
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  const rest = `${Number((seconds % 60).toFixed(9))}s`;
  if (hours > 0) return `${hours}h${minutes}m${rest}`;
  return minutes > 0 ? `${minutes}m${rest}` : rest;
}
