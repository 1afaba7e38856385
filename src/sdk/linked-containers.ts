/** The containers on the default bridge that a start is told of, as they are then. */
import {readFileSync, writeFileSync} from 'node:fs';
import {CoracleError} from '../errors.js';
import type {ContainerConfig} from './container-config.js';
import {isUp} from './container-state.js';
import {type Link, type Linked, linkHostLine, linkVariables} from './links.js';
import type {Runtime} from './runtime.js';

export interface LinkedFacts {
  /** `KEY=value` each. */
  readonly env: readonly string[];
  /** Lines of /etc/hosts. */
  readonly hosts: string;
}

/**
 * Undefined without links. One that is gone is nothing to be told of.
 * @param addressOf a container's address on the default bridge
 * @throws `ERR_CONTAINER_NOT_RUNNING`, `ERR_INVALID_OPTION`
 */
export function linkedFacts(
  runtime: Runtime,
  {name, links = []}: Pick<ContainerConfig, 'name' | 'links'>,
  addressOf: (directory: string) => string | undefined,
): LinkedFacts | undefined {
  if (links.length === 0) return undefined;
  const told = links.flatMap(({container, alias}) => {
    const linked = linkedTo(runtime, name, {container, alias}, addressOf);
    return linked === undefined ? [] : [{alias, linked}];
  });
  return {
    env: told.flatMap(({alias, linked}) => linkVariables(name, alias, linked)),
    hosts: told.map(({alias, linked}) => linkHostLine(alias, linked)).join(''),
  };
}

/** Who is linked to a container that comes back with another address, and runs, has it in /etc/hosts at once. */
export function tellLinking(
  runtime: Runtime,
  {id, name, hostname}: Pick<ContainerConfig, 'id' | 'name' | 'hostname'>,
  before: string,
  address: string,
): void {
  for (const record of runtime.listContainers()) {
    const aliases = (record.links ?? []).filter(({container}) => container === id).map(({alias}) => alias);
    if (aliases.length === 0 || !isUp(runtime.stateOf(record))) continue;
    const path = `${runtime.placesOf(record).directory}/hosts`;
    const lineOf = (alias: string, at: string) => linkHostLine(alias, {name, hostname, address: at});
    const text = readFileSync(path, 'utf8');
    const changed = aliases.reduce(
      (lines, alias) => lines.replace(`\n${lineOf(alias, before)}`, () => `\n${lineOf(alias, address)}`),
      text,
    );
    if (changed !== text) writeFileSync(path, changed); // in place: it is mounted
  }
}

/** In dockerd's words: moby, daemon/container_operations_unix.go. */
function linkedTo(
  runtime: Runtime,
  parent: string,
  {container, alias}: Link,
  addressOf: (directory: string) => string | undefined,
): Linked | undefined {
  const record = runtime.findContainer(container);
  if (record === undefined) return undefined;
  const {name, hostname, exposedPorts, env} = record;
  if (!isUp(runtime.stateOf(record))) {
    throw new CoracleError(
      'ERR_CONTAINER_NOT_RUNNING',
      `Cannot link to a non running container: /${name} AS /${parent}/${alias}`,
      {hint: `Start it first: coracle start ${name}`, details: {container}},
    );
  }
  const address = addressOf(runtime.placesOf(record).directory);
  if (address === undefined) {
    throw new CoracleError(
      'ERR_INVALID_OPTION',
      `Cannot link to /${name}, as it does not belong to the default network`,
      {hint: 'On a network of your own it is found by its name.', details: {option: 'links', container}},
    );
  }
  return {name, hostname, address, exposedPorts, env};
}
