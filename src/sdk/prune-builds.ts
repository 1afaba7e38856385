import type {InRuntime} from './image.js';
import {Runtime} from './runtime.js';

export interface BuildCacheUsage {
  /** Layers that builds remember. */
  readonly layers: number;
  /** Bytes of their files. */
  readonly bytes: number;
  /** Of those that no image has. */
  readonly reclaimableBytes: number;
}

/** What builds remember for the next one, as it lies on the disk. */
export function buildCacheUsage({store}: Runtime): BuildCacheUsage {
  const ofImages = new Set(store.listImages().flatMap(({diffIds}) => diffIds));
  const remembered = store.rememberedLayers().map(({diffId}) => ({diffId, bytes: bytesOf(store, diffId)}));
  const sum = (layers: typeof remembered) => layers.reduce((total, {bytes}) => total + bytes, 0);
  return {
    layers: remembered.length,
    bytes: sum(remembered),
    reclaimableBytes: sum(remembered.filter(({diffId}) => !ofImages.has(diffId))),
  };
}

/** One that is missing was removed by somebody: nothing of it is here. */
function bytesOf(store: Runtime['store'], diffId: Parameters<Runtime['store']['layerBytes']>[0]): number {
  try {
    return store.layerBytes(diffId);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 0;
    throw error;
  }
}

/**
 * Forgets what builds remember: the next one does all of it again. Without `unusedMs` the directories of
 * `RUN --mount=type=cache` go as well, those that are in use excepted.
 */
export async function pruneBuilds(
  {unusedMs = 0}: {readonly unusedMs?: number} = {},
  in_: InRuntime = {},
): Promise<{readonly reclaimedBytes: number}> {
  const runtime = in_.runtime ?? (await Runtime.default());
  const before = buildCacheUsage(runtime).reclaimableBytes;
  await runtime.store.forgetBuilds(unusedMs);
  return {reclaimedBytes: before - buildCacheUsage(runtime).reclaimableBytes};
}
