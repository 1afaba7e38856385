/** The layers of an image on their way from a registry into the store: several at once, each unpacked as it comes. */
import {CoracleError} from '../errors.js';
import {type ContentDescriptor, type Digest, MEDIA_TYPES} from '../oci/index.js';
import {checkDigest, downloadBlob, type Registry} from '../registry/index.js';
import type {Downloads, Intake, StagedBlob, StagedLayer} from '../store/index.js';
import {mapLimited} from './map-limited.js';

export interface LayerProgress {
  /** Of the layer as the registry has it. */
  readonly digest: string;
  readonly status: 'exists' | 'pulling' | 'waiting' | 'downloading' | 'verifying' | 'downloaded' | 'complete';
  /** While downloading. */
  readonly bytes?: number;
  readonly totalBytes?: number;
}

export interface BringOptions {
  readonly intake: Intake;
  readonly downloads: Downloads;
  /** How many at once. */
  readonly limit: number;
  readonly tell: (progress: LayerProgress) => void;
  readonly signal: AbortSignal | undefined;
}

type BroughtLayer = StagedBlob & Partial<StagedLayer>;

/** In the manifest's order. What was fetched before a failure is kept, for whoever tries again. */
export async function bringLayers(
  registry: Registry,
  repository: string,
  layers: readonly ContentDescriptor[],
  options: BringOptions,
): Promise<BroughtLayer[]> {
  const {intake, limit, signal} = options;
  const tell = (layer: ContentDescriptor, status: LayerProgress['status'], bytes?: number) =>
    options.tell({
      digest: layer.digest,
      status,
      ...(bytes !== undefined && {bytes, totalBytes: layer.size}),
    });
  const brought = new Map<Digest, BroughtLayer>();
  const missing: ContentDescriptor[] = [];
  for (const layer of layers) {
    if (brought.has(layer.digest) || missing.some(({digest}) => digest === layer.digest)) continue;
    const known = intake.find(layer.digest);
    if (known === undefined) missing.push(layer);
    else brought.set(layer.digest, known);
    tell(layer, known === undefined ? 'pulling' : 'exists');
  }
  for (const layer of missing.slice(limit)) tell(layer, 'waiting');
  // A layer counts as complete when all those below it are: in Docker they are unpacked one on the other.
  let complete = 0;
  await mapLimited(missing, limit, signal, async (layer, stop) => {
    async function* content(from: number) {
      yield* downloadBlob(registry, repository, layer, {
        from,
        onProgress: bytes => tell(layer, 'downloading', bytes),
        signal: stop,
      });
      tell(layer, 'verifying');
    }
    brought.set(layer.digest, await bringLayer(registry, layer, content, {...options, signal: stop}));
    tell(layer, 'downloaded');
    for (; complete < missing.length && brought.has(missing[complete]!.digest); complete++) {
      tell(missing[complete]!, 'complete');
    }
  });
  return layers.map(({digest}) => brought.get(digest)!);
}

type Content = (from: number) => AsyncIterable<Uint8Array>;

async function bringLayer(
  registry: Registry,
  {digest}: ContentDescriptor,
  content: Content,
  {intake, downloads, signal}: Pick<BringOptions, 'intake' | 'downloads' | 'signal'>,
): Promise<StagedLayer> {
  using claim = downloads.claim(digest);
  if (claim !== undefined) {
    try {
      const staged = await intake.resumeLayer(claim.path, content, {signal});
      checkDigest(registry, staged.digest, digest);
      return staged;
    } catch (error) {
      if (isOfTheNetwork(error) || signal?.aborted) throw error; // what has come is right as far as it goes
      claim.discard();
      if (claim.offset === 0) throw error;
      // What another attempt had left may be what is wrong: once more from the start.
    }
  }
  const staged = await intake.stageLayer(content(0), {signal});
  checkDigest(registry, staged.digest, digest);
  return staged;
}

function isOfTheNetwork(error: unknown): boolean {
  return (
    error instanceof CoracleError &&
    (error.code.startsWith('ERR_REGISTRY_') || error.code === 'ERR_NOT_IN_REGISTRY')
  );
}

/** Artifacts of other kinds are in registries, too. @throws `ERR_INVALID_IMAGE` */
export function checkLayerType({mediaType}: ContentDescriptor): void {
  if (LAYER_TYPES.has(mediaType)) return;
  throw new CoracleError(
    'ERR_INVALID_IMAGE',
    `the manifest has a layer that is no file system: ${mediaType}`,
    {
      hint: 'This is no image of a container: another kind of artifact has this name.',
    },
  );
}

const LAYER_TYPES: ReadonlySet<string> = new Set([
  ...['', '+gzip', '+zstd'].flatMap(compression => [
    `${MEDIA_TYPES.ociLayer}${compression}`,
    `application/vnd.oci.image.layer.nondistributable.v1.tar${compression}`,
  ]),
  ...['', '.gzip', '.zstd'].flatMap(compression => [
    `application/vnd.docker.image.rootfs.diff.tar${compression}`,
    `application/vnd.docker.image.rootfs.foreign.diff.tar${compression}`,
  ]),
]);
