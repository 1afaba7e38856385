/** Which volumes make up one snapshot. */
import {CoracleError} from '../../errors.js';
import {Container, type InRuntime, Runtime, Volume} from '../../sdk/index.js';

export interface VolumeSet {
  /** By name. */
  readonly volumes?: readonly string[];
  /** All volumes of these containers: names, or ids. */
  readonly volumesFrom?: readonly string[];
  /** Those that have each of these labels: `KEY` or `KEY=VALUE`. */
  readonly labels?: readonly string[];
}

/**
 * Names, each once: as they were given, then those of containers in the order of their mounts, then those by label, sorted.
 * @throws `ERR_VOLUME_NOT_FOUND`, `ERR_CONTAINER_NOT_FOUND`, `ERR_INVALID_OPTION` when there are none
 */
export async function volumesOfSet(
  {volumes = [], volumesFrom = [], labels = []}: VolumeSet,
  in_: InRuntime = {},
): Promise<string[]> {
  const runtime = in_.runtime ?? (await Runtime.default());
  const names = new Set<string>();
  for (const name of volumes) names.add((await Volume.get(name, {runtime})).name);
  for (const nameOrId of volumesFrom) {
    const {id} = await Container.get(nameOrId, {runtime});
    for (const mount of runtime.readContainer(id).mounts) if (mount.type === 'volume') names.add(mount.name);
  }
  if (labels.length > 0) {
    const all = await Volume.list({runtime});
    for (const volume of all)
      if (labels.every(wanted => hasLabel(volume.labels, wanted))) names.add(volume.name);
  }
  if (names.size > 0) return [...names];
  const asked = [...volumesFrom.map(name => `container ${name}`), ...labels.map(label => `label ${label}`)];
  throw new CoracleError(
    'ERR_INVALID_OPTION',
    `there is no volume to back up: ${asked.join(', ') || 'none given'}`,
  );
}

function hasLabel(labels: Readonly<Record<string, string>>, wanted: string): boolean {
  const equals = wanted.indexOf('=');
  if (equals < 0) return Object.hasOwn(labels, wanted);
  const key = wanted.slice(0, equals);
  return Object.hasOwn(labels, key) && labels[key] === wanted.slice(equals + 1);
}
