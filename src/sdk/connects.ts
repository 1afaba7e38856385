import type {ContainerConfig, NetworkAttachment} from './container-config.js';

/** The networks that a container has a place on, in the order of its interfaces. */
export function attachmentsOf({
  network,
  networks,
}: Pick<ContainerConfig, 'network' | 'networks'>): readonly NetworkAttachment[] {
  return networks ?? (network === 'bridge' ? [{network}] : []);
}

/** Whether it has an address of its own on a network. */
export function connects(config: Pick<ContainerConfig, 'network' | 'networks'>): boolean {
  return attachmentsOf(config).length > 0;
}
