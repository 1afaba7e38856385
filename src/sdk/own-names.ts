/** What a container's own resolver is told of its networks. */
import {type Endpoint, isPredefined, type OwnNetwork} from '../network/index.js';
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
