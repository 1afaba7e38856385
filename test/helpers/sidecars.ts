import {Container, type Runtime} from '../../src/index.js';

/** Containers that work on volumes for a backup; one that goes meanwhile is none. */
export async function sidecars(runtime: Runtime): Promise<Container[]> {
  const containers = await Container.list({runtime});
  const facts = await Promise.allSettled(containers.map(each => each.inspect()));
  return containers.filter((_, index) => {
    const each = facts[index]!;
    return each.status === 'fulfilled' && 'coracle.sidecar' in each.value.Config.Labels;
  });
}
