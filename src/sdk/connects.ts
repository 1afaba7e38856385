import type {ContainerConfig} from './container-config.js';

/** Whether it has an address of its own on a network. */
export function connects({network}: Pick<ContainerConfig, 'network'>): boolean {
  return network === 'bridge';
}
