import type {ContainerConfig} from './container-config.js';

/** Whether it has a network that is neither empty nor the host's. */
export function connects({network}: Pick<ContainerConfig, 'network'>): boolean {
  return network !== 'none' && network !== 'host';
}
