/** How an image came about, as `docker history` tells. */
import {parseImageConfig} from '../oci/index.js';
import type {Store, StoredImage} from '../store/index.js';

export interface ImageHistoryEntry {
  /** Of the image as it was after this step; undefined when there is none in the store. */
  readonly id: string | undefined;
  /** RFC 3339. */
  readonly created: string | undefined;
  readonly createdBy: string;
  readonly comment: string;
  /** Names of the image of this step. */
  readonly references: readonly string[];
  /** Bytes of the files of the layer that it made; 0 when it made none. */
  readonly sizeBytes: number;
}

/** The last step first. @throws `ERR_INVALID_IMAGE`, `ERR_BLOB_MISSING`, `ERR_BLOB_DAMAGED` */
export function imageHistory(store: Store, image: StoredImage): ImageHistoryEntry[] {
  const {history} = parseImageConfig(store.readDocument(image.id));
  const layers = [...image.diffIds];
  const sizes = history.map(step => {
    const diffId = step.empty_layer ? undefined : layers.shift();
    return diffId === undefined ? 0 : store.layerBytes(diffId);
  });
  const made = imagesByStep(store, image);
  return history
    .map(({created, created_by: createdBy = '', comment = ''}, index) => {
      const {id, repoTags: references = []} = made.get(index + 1) ?? {};
      return {id, created, createdBy, comment, references, sizeBytes: sizes[index]!};
    })
    .reverse();
}

/** The image and those it was made from, by how many steps made each: a build does several at once. */
function imagesByStep(store: Store, image: StoredImage): Map<number, StoredImage> {
  const images = new Map<number, StoredImage>();
  for (let made: StoredImage | undefined = image; made !== undefined; made = parentOf(store, made)) {
    const steps = parseImageConfig(store.readDocument(made.id)).history.length;
    if (!images.has(steps)) images.set(steps, made);
  }
  return images;
}

function parentOf(store: Store, {parent}: StoredImage): StoredImage | undefined {
  return parent === undefined ? undefined : store.findImage(parent);
}
