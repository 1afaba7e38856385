/**
 * `index.json`, the index of the OCI image layout that the store is: which images there are and how they are called. Each
 * name is an entry of its own, so that any tool finds it; an image without names has one entry.
 */
import {type Digest, familiarString, isDigest, MEDIA_TYPES, parseReference} from '../oci/index.js';
import type {ImageRecord} from './images.js';
import {readRecord} from './records.js';

/** What the index says of an image. */
export interface ImageNames {
  /** Canonical: `docker.io/library/alpine:3.20`, `docker.io/library/alpine@sha256:…`. */
  readonly names: ReadonlySet<string>;
  /** When one of them was last given by a `tag`, RFC 3339. */
  readonly tagged?: string | undefined;
  /** Nobody sees it any more, but a container needs it. */
  readonly removed: boolean;
}

export interface ImageIndex {
  readonly images: ReadonlyMap<Digest, ImageNames>;
  readonly idByName: ReadonlyMap<string, Digest>;
  /** Entries that another tool added: they are kept and otherwise left alone. */
  readonly foreign: readonly unknown[];
}

interface IndexEntry {
  readonly annotations?: Readonly<Record<string, string>>;
}

/** Ours: which image (the configuration's digest) an entry names. */
const ID_ANNOTATION = 'coracle.image.id';
const TAGGED_ANNOTATION = 'coracle.image.tagged';
const REMOVED_ANNOTATION = 'coracle.image.removed';
/** containerd's key for the whole name, and the layout's own for the short one. */
const NAME_ANNOTATION = 'io.containerd.image.name';
const REF_ANNOTATION = 'org.opencontainers.image.ref.name';

export function readIndex(path: string): ImageIndex {
  const {manifests = []} = (readRecord(path) ?? {}) as {manifests?: IndexEntry[]};
  const images = new Map<Digest, ImageNames & {readonly names: Set<string>}>();
  const foreign: unknown[] = [];
  for (const entry of manifests) {
    const {annotations = {}} = entry;
    const {[ID_ANNOTATION]: id, [NAME_ANNOTATION]: name, [TAGGED_ANNOTATION]: tagged} = annotations;
    if (!isDigest(id)) {
      foreign.push(entry);
      continue;
    }
    const own = images.get(id) ?? {names: new Set(), tagged, removed: REMOVED_ANNOTATION in annotations};
    if (name !== undefined) own.names.add(name);
    images.set(id, own);
  }
  const idByName = new Map(
    [...images].flatMap(([id, {names}]) => [...names].map(name => [name, id] as const)),
  );
  return {images, idByName, foreign};
}

/** @param recordOf an image's record @returns the document */
export function indexDocument(
  images: ImageIndex['images'],
  foreign: readonly unknown[],
  recordOf: (id: Digest) => ImageRecord,
) {
  const entries = [...images].flatMap(([id, own]) => {
    const names = own.names.size === 0 ? [undefined] : [...own.names];
    return names.map(name => entryOf(recordOf(id), own, name));
  });
  return {schemaVersion: 2, mediaType: MEDIA_TYPES.ociIndex, manifests: [...foreign, ...entries]};
}

function entryOf(
  {id, manifest, manifestSize, manifestType, architecture, os, variant}: ImageRecord,
  {tagged, removed}: ImageNames,
  name: string | undefined,
) {
  return {
    mediaType: manifestType ?? MEDIA_TYPES.ociManifest,
    digest: manifest,
    size: manifestSize,
    platform: {architecture, os, ...(variant !== undefined && {variant})},
    annotations: {
      ...(name !== undefined && {[NAME_ANNOTATION]: name, [REF_ANNOTATION]: familiar(name)}),
      [ID_ANNOTATION]: id,
      ...(tagged !== undefined && {[TAGGED_ANNOTATION]: tagged}),
      ...(removed && {[REMOVED_ANNOTATION]: 'true'}),
    },
  };
}

/** As Docker prints it. */
export function familiar(canonical: string): string {
  return familiarString(parseReference(canonical));
}
