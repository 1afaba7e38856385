/**
 * Loads images from one archive: what `docker save` writes, in its old and its new form, or a tar of an OCI image
 * layout. The archive may be a stream and its parts may come in any order, so each is staged with its digest first, and what
 * looks like a layer is unpacked as it comes.
 */
import {readFileSync} from 'node:fs';
import {posix} from 'node:path';
import {CoracleError} from '../errors.js';
import {
  type Digest,
  digestOf,
  familiarString,
  formatPlatform,
  type Platform,
  parseImageConfig,
  platformMatches,
  type Reference,
  withDefaultTag,
} from '../oci/index.js';
import type {ImageShelves} from './add-image.js';
import {ARCHIVE_ENTRIES, ArchivedFiles, readArchivedImages} from './archived-images.js';
import type {StagedBlob} from './blobs.js';
import {decompress, isCompressed, peek} from './decompress.js';
import type {StoredImage} from './images.js';
import {Intake} from './intake.js';
import {LAYER_LIMITS, overLimit} from './layer-limits.js';
import {type ArchiveSource, openSource} from './open-source.js';
import {readTar, TAR_BLOCK, type TarEntry} from './read-tar.js';
import type {StagedLayer} from './stage-layer.js';

export interface LoadOptions {
  /** A name for an archive with one image, in place of those it has. */
  readonly reference?: Reference;
  /** Of an image for several platforms which one; an image for another one is refused. @default this host's, and any image for one */
  readonly platform?: Platform | undefined;
  /** Told of each image once it is there. */
  readonly onLoaded?: ((loaded: LoadedImage) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface LoadedImage {
  readonly image: StoredImage;
  /** Those that the archive gives it, `alpine:3.20`. */
  readonly names: readonly string[];
  /** Those of them that another image had before, and its id. */
  readonly moved: readonly {readonly name: string; readonly from: Digest}[];
}

/** @throws `ERR_INVALID_IMAGE`, `ERR_DIGEST_MISMATCH`, `ERR_PLATFORM_MISSING`, and what unpacking throws */
export async function loadArchive(
  shelves: ImageShelves,
  source: ArchiveSource,
  {reference, platform, onLoaded, signal}: LoadOptions = {},
): Promise<StoredImage[]> {
  await using intake = new Intake(shelves);
  const files = await stageFiles(openSource(source, {reuse: true}), intake, signal);
  const images = readArchivedImages(files, platform);
  if (reference !== undefined && images.length !== 1) {
    throw new CoracleError(
      'ERR_INVALID_IMAGE',
      `the archive has ${images.length} images: a name can be given to one only`,
    );
  }
  const loaded: StoredImage[] = [];
  for (const {parts, references} of images) {
    if (platform !== undefined) checkPlatform(parts.config, platform);
    const given = reference ? [reference] : references;
    const names = given.map(each => familiarString(withDefaultTag(each)));
    const id = digestOf(parts.config);
    const moved = names.flatMap(name => {
      const from = shelves.images.find(name)?.id ?? id;
      return from === id ? [] : [{name, from}];
    });
    // A layer that the image before has as well is one of the store's by now.
    const layers = parts.layers.map(layer => ({...layer, path: (intake.find(layer.digest) ?? layer).path}));
    const image = await intake.addImage({...parts, layers}, given, {signal});
    onLoaded?.({image, names, moved});
    loaded.push(image);
  }
  return loaded;
}

function checkPlatform(config: Buffer, wanted: Platform): void {
  if (platformMatches(parseImageConfig(config), wanted)) return;
  throw new CoracleError('ERR_PLATFORM_MISSING', `the archive has no image for ${formatPlatform(wanted)}`);
}

async function stageFiles(
  archive: AsyncIterable<Uint8Array>,
  intake: Intake,
  signal: AbortSignal | undefined,
): Promise<ArchivedFiles<StagedBlob & Partial<StagedLayer>>> {
  const files = new ArchivedFiles<StagedBlob & Partial<StagedLayer>>(({path}) => readFileSync(path));
  let count = 0;
  for await (const entry of readTar(decompress(archive))) {
    if (++count > ARCHIVE_ENTRIES) throw overLimit('entries', ARCHIVE_ENTRIES);
    if (entry.size > LAYER_LIMITS.fileBytes) throw overLimit('bytes in a file', LAYER_LIMITS.fileBytes);
    const path = posix.normalize(entry.path.toString('utf8'));
    const target = entry.target.toString('utf8');
    if (entry.type === 'file') {
      files.add(path, await stageFile(intake, entry, signal));
    } else if (entry.type === 'symlink') {
      files.link(path, posix.join(posix.dirname(path), target));
    } else if (entry.type === 'link') {
      files.link(path, posix.normalize(target));
    }
  }
  return files;
}

async function stageFile(intake: Intake, entry: TarEntry, signal: AbortSignal | undefined) {
  const {first, all} = await peek(entry.content(), TAR_BLOCK);
  const isLayer = isCompressed(first) || isTarHeader(first);
  return isLayer ? await intake.stageLayer(all, {signal}) : await intake.stageBlob(all, {signal});
}

/** Of ustar and its kin, or of the empty archive. */
function isTarHeader(first: Buffer): boolean {
  if (first.length < TAR_BLOCK) return false;
  return first.toString('latin1', 257, 262) === 'ustar' || first.every(byte => byte === 0);
}
