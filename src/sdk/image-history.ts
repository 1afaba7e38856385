/** How an image came about, as `docker history` tells. */
import {type Digest, parseImageConfig} from '../oci/index.js';
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
  let made: StoredImage | undefined = image;
  return history
    .map((step, index) => ({step, sizeBytes: sizes[index]!}))
    .reverse()
    .map(({step, sizeBytes}) => {
      const {created, created_by: createdBy = '', comment = ''} = step;
      const entry = {id: made?.id, created, createdBy, comment, references: made?.repoTags ?? [], sizeBytes};
      made = parentOf(store, made);
      return entry;
    });
}

function parentOf(store: Store, image: StoredImage | undefined): StoredImage | undefined {
  const parent: Digest | undefined = image?.parent;
  return parent === undefined ? undefined : store.findImage(parent);
}
