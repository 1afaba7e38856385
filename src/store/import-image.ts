/** Makes an image of one archive of a whole file system: `docker import`. */
import {createHash} from 'node:crypto';
import {join} from 'node:path';
import {
  type ContainerDefaults,
  finishDigest,
  type Platform,
  platformOf,
  type Reference,
} from '../oci/index.js';
import {addImage, type ImageShelves} from './add-image.js';
import {readBlob, type StagedBlob, stageBlob} from './blobs.js';
import {decompress} from './decompress.js';
import type {StoredImage} from './images.js';
import {type ArchiveSource, openSource} from './open-source.js';
import {Workspace} from './workspace.js';

export interface ImportOptions {
  /** The image's name; without one it has only its id. */
  readonly reference?: Reference;
  /** What its containers run unless told otherwise. @default nothing */
  readonly config?: ContainerDefaults;
  /** @default this host's */
  readonly platform?: Platform;
  /** RFC 3339; null leaves it out, so that equal content makes an equal image. @default now */
  readonly created?: string | null;
  /** For the history. @default 'Imported from -' */
  readonly message?: string;
  readonly signal?: AbortSignal;
}

/** @param source a tar archive, plain or compressed by gzip or zstd */
export async function importImage(
  shelves: ImageShelves,
  source: ArchiveSource,
  options: ImportOptions = {},
): Promise<StoredImage> {
  await using work = Workspace.open(shelves.work);
  const staged = await stageBlob(openSource(source), join(work.path, 'layer'), {signal: options.signal});
  const config = imageDocument(await plainDigest(staged), options);
  const references = options.reference ? [options.reference] : [];
  return await addImage(shelves, {config, layers: [staged]}, references, options.signal);
}

async function plainDigest({path}: StagedBlob) {
  const hash = createHash('sha256');
  for await (const chunk of decompress(readBlob(path))) hash.update(chunk);
  return finishDigest(hash);
}

function imageDocument(diffId: string, options: ImportOptions): Buffer {
  const {config = {}, platform = platformOf(process.arch), message = 'Imported from -'} = options;
  const created = options.created === undefined ? new Date().toISOString() : options.created;
  const dated = created === null ? {} : {created};
  return Buffer.from(
    JSON.stringify({
      ...dated,
      ...platform,
      config,
      rootfs: {type: 'layers', diff_ids: [diffId]},
      history: [{...dated, comment: message}],
    }),
  );
}
