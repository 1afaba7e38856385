/**
 * Makes an image of another one and of what was changed in it: the layers of the parent, and at most one more. The same
 * parent, tree and options make the same image, byte for byte.
 */
import {openDirectory} from '../binding/index.js';
import {CoracleError} from '../errors.js';
import {
  type ContainerDefaults,
  type Digest,
  type HistoryEntry,
  object,
  optional,
  type Platform,
  parseManifest,
  parseObject,
  platformOf,
  type Reference,
} from '../oci/index.js';
import type {ImageShelves} from './add-image.js';
import {archiveTree} from './archive-tree.js';
import type {StagedBlob} from './blobs.js';
import type {StoredImage} from './images.js';
import {Intake} from './intake.js';
import type {StagedLayer} from './stage-layer.js';
import type {ArchivedIds} from './walk-tree.js';
import {TAR_END} from './write-tar.js';

export interface CommitOptions {
  /** @default none: the image begins with this layer */
  readonly parent?: StoredImage | undefined;
  /**
   * What was changed: the upper directory of an overlay, or a whole tree. Without one, or when nothing is in it, the image has
   * no layer more, and its history says so.
   */
  readonly upper?: string | undefined;
  /** All that its containers run unless told otherwise: nothing is taken over from the parent. */
  readonly config: ContainerDefaults;
  readonly author?: string | undefined;
  /** For the history: what made it. */
  readonly createdBy?: string | undefined;
  /** For the history: what somebody says of it. */
  readonly comment?: string | undefined;
  /** RFC 3339; null leaves it out. @default the time in `SOURCE_DATE_EPOCH`, or now */
  readonly created?: string | null | undefined;
  /** @default the parent's, or this host's */
  readonly platform?: Platform | undefined;
  /** Its names, which leave the images that had them. @default none */
  readonly references?: readonly Reference[] | undefined;
  /** Owners as the layer is to have them. @default as they are in `upper` */
  readonly ids?: ArchivedIds | undefined;
  /** Called when `upper` was read and nothing is made of it yet: throws if it was not whole. */
  readonly whenRead?: (() => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * @throws `ERR_INVALID_LAYER` for what no layer can hold: a name that begins with `.wh.`, a directory that overlayfs has only in
 * part; `ERR_LAYER_TOO_LARGE`, `ERR_IMAGE_NOT_FOUND` for a parent that was removed meanwhile. Then nothing stays
 */
export async function commitImage(shelves: ImageShelves, options: CommitOptions): Promise<StoredImage> {
  await using intake = new Intake(shelves);
  const below = readParent(shelves, intake, options.parent);
  const layer = await stageLayer(intake, options);
  options.whenRead?.();
  const config = imageDocument(below.document, layer, options);
  const layers = layer === undefined ? below.layers : [...below.layers, layer];
  const parts = {config, layers, ...(options.parent && {parent: options.parent.id})};
  return await intake.addImage(parts, options.references ?? [], {signal: options.signal, tagged: true});
}

interface Parent {
  readonly document: Readonly<Record<string, unknown>>;
  readonly layers: readonly StagedBlob[];
}

const SCRATCH: Parent = {document: {}, layers: []};

function readParent({blobs}: ImageShelves, intake: Intake, parent: StoredImage | undefined): Parent {
  if (parent === undefined) return SCRATCH;
  try {
    const manifest = parseManifest(blobs.readDocument(parent.manifest));
    if (manifest.kind === 'index') throw new CoracleError('ERR_INVALID_IMAGE', 'the image has no manifest');
    return {
      document: parseObject(blobs.readDocument(parent.id), 'the image configuration'),
      layers: manifest.layers.map(({digest}) => intake.get(digest)),
    };
  } catch (cause) {
    if ((cause as CoracleError).code !== 'ERR_BLOB_MISSING') throw cause;
    throw new CoracleError('ERR_IMAGE_NOT_FOUND', `No such image: ${parent.id}`, {cause});
  }
}

/** The archive of a layer is plain: its digest is the layer's. Undefined for one with nothing in it. */
async function stageLayer(
  intake: Intake,
  {upper, ids, signal}: CommitOptions,
): Promise<StagedLayer | undefined> {
  if (upper === undefined) return undefined;
  using directory = openDirectory(upper);
  const archive = archiveTree(directory.fd, Buffer.alloc(0), {
    name: '',
    kind: 'layer',
    ids,
    reuse: true,
    signal,
  });
  const staged = await intake.stageLayer(archive, {signal});
  return staged.size === TAR_END.length ? undefined : staged;
}

/** Fields of the parent's that are not known here are its own affair and stay, as Docker's do. */
function imageDocument(
  parent: Parent['document'],
  layer: StagedBlob | undefined,
  options: CommitOptions,
): Buffer {
  const {author, createdBy, comment, platform} = options;
  const created = createdAt(options.created);
  const entry: HistoryEntry = {
    ...(created !== null && {created}),
    ...(author && {author}),
    ...(createdBy && {created_by: createdBy}),
    ...(comment && {comment}),
    ...(layer === undefined && {empty_layer: true}),
  };
  const rootfs = optional(parent['rootfs'], object, 'rootfs') ?? {};
  const diffIds = (rootfs['diff_ids'] ?? []) as readonly Digest[];
  const made = platform ?? (parent['architecture'] === undefined ? platformOf(process.arch) : undefined);
  const kept = Object.fromEntries(
    PLATFORM_FIELDS.flatMap(key => (key in parent ? [[key, parent[key]]] : [])),
  );
  return Buffer.from(
    JSON.stringify({
      ...(created !== null && {created}),
      ...(author && {author}),
      ...(made ?? kept),
      config: options.config,
      rootfs: {type: 'layers', diff_ids: layer === undefined ? diffIds : [...diffIds, layer.digest]},
      history: [...((parent['history'] ?? []) as readonly HistoryEntry[]), entry],
    }),
  );
}

const PLATFORM_FIELDS = ['architecture', 'os', 'variant', 'os.version', 'os.features'];

/** @see https://reproducible-builds.org/specs/source-date-epoch/ */
function createdAt(given: string | null | undefined): string | null {
  if (given !== undefined) return given;
  const epoch = process.env['SOURCE_DATE_EPOCH'];
  if (epoch === undefined || epoch === '') return new Date().toISOString();
  const date = new Date(/^\d{1,11}$/.test(epoch) ? Number(epoch) * 1000 : Number.NaN);
  if (!Number.isNaN(date.getTime())) return date.toISOString().replace('.000Z', 'Z');
  throw new CoracleError('ERR_INVALID_OPTION', `SOURCE_DATE_EPOCH is not a number of seconds: ${epoch}`, {
    details: {option: 'SOURCE_DATE_EPOCH'},
  });
}
