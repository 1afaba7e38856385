/** What a container's own resolver is told of its networks. */
import {existsSync} from 'node:fs';
import {
  addOwnNetwork,
  type Endpoint,
  isPredefined,
  type OwnNetwork,
  removeOwnNetwork,
} from '../network/index.js';
import type {ContainerConfig} from './container-config.js';

/** Whether it finds others by name: on networks of somebody's own, as in Docker. */
export function usesResolver(endpoints: readonly Pick<Endpoint, 'network'>[]): boolean {
  return endpoints.some(({network}) => !isPredefined(network));
}

/** @param directory of the container's run */
export function ownNamesDirectory(directory: string): string {
  return `${directory}/names`;
}

export function ownNetwork(
  _config: Pick<ContainerConfig, 'networks'>,
  name: string,
  internal: boolean,
): OwnNetwork {
  return {name, internal, links: {}};
}

/** Of a container that runs: its resolver, if it has one, knows at once. */
export function changeOwnNames(
  directory: string,
  config: Pick<ContainerConfig, 'networks'>,
  before: readonly Endpoint[],
  after: readonly Endpoint[],
): void {
  const own = ownNamesDirectory(directory);
  if (!existsSync(own)) return;
  const isIn = (endpoints: readonly Endpoint[], {network}: Endpoint) =>
    endpoints.some(other => other.network === network);
  for (const endpoint of before) if (!isIn(after, endpoint)) removeOwnNetwork(own, endpoint.network);
  for (const endpoint of after) {
    if (!isIn(before, endpoint)) addOwnNetwork(own, ownNetwork(config, endpoint.network, endpoint.internal));
  }
}
