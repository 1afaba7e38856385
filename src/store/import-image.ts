/** Makes an image of one archive of a whole file system: `docker import`. */
import {type ContainerDefaults, checkTag, type Platform, platformOf, type Reference} from '../oci/index.js';
import type {ImageShelves} from './add-image.js';
import type {StoredImage} from './images.js';
import {Intake} from './intake.js';
import {type ArchiveSource, openSource} from './open-source.js';

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

/**
 * @param source a tar archive, plain or compressed by gzip or zstd
 * @throws `ERR_INVALID_REFERENCE` for a name with a digest, and for one that would read like an id
 */
export async function importImage(
  shelves: ImageShelves,
  source: ArchiveSource,
  options: ImportOptions = {},
): Promise<StoredImage> {
  const {signal, reference} = options;
  if (reference !== undefined) checkTag(reference, 'cannot import digest reference');
  await using intake = new Intake(shelves);
  const layer = await intake.stageLayer(openSource(source, {reuse: true}), {signal});
  const config = imageDocument(layer.diffId, options);
  return await intake.addImage({config, layers: [layer]}, reference ? [reference] : [], {
    signal,
    tagged: true,
  });
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
