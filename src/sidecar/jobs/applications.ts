import type {Runtime} from '../../sdk/index.js';
import {isUp} from '../../sdk/index.js';
import type {Application} from '../repository.js';

/** Containers that use volumes, those that run first: what a drill of their snapshot can start. */
export function applicationsOf(runtime: Runtime, volumes: readonly string[]): readonly Application[] {
  const ids = new Set(volumes.flatMap(name => runtime.volumeUsers(name)));
  return [...ids]
    .flatMap(id => runtime.findContainer(id) ?? [])
    .filter(({labels}) => labels['coracle.sidecar'] === undefined)
    .map(record => ({
      isUp: isUp(runtime.stateOf(record)),
      application: {
        name: record.name,
        image: record.image.reference,
        argv: record.argv,
        targets: Object.fromEntries(
          record.mounts.flatMap(mount =>
            mount.type === 'volume' && volumes.includes(mount.name) ? [[mount.name, mount.target]] : [],
          ),
        ),
      },
    }))
    .sort((a, b) => Number(b.isUp) - Number(a.isUp))
    .map(({application}) => application);
}
