/** `index.json` of the layout: which artifacts there are, and how they are called. image-spec, image-layout.md. */
import {readFileSync} from 'node:fs';
import {type Digest, isDigest, MEDIA_TYPES, readJson} from '../../sdk/index.js';
import type {ArtifactKind} from './artifact.js';
import {ARTIFACTS, kindOf} from './media-types.js';
import {damaged} from './repository-errors.js';
import type {Named} from './shelf.js';

export interface LayoutIndex {
  readonly artifacts: ReadonlyMap<string, LayoutEntry>;
  /** Entries that another tool added: they are kept and otherwise left alone. */
  readonly foreign: readonly unknown[];
}

export interface LayoutEntry extends Named {
  readonly kind: ArtifactKind;
}

const NAME_ANNOTATION = 'org.opencontainers.image.ref.name';
/** As much as a repository of a hundred thousand snapshots. */
const INDEX_BYTES = 64 * 1024 * 1024;

/** @throws `ERR_REPOSITORY_DAMAGED`; ENOENT */
export function readLayoutIndex(path: string): LayoutIndex {
  return parseLayoutIndex(readFileSync(path), path);
}

export function parseLayoutIndex(bytes: Buffer, path: string): LayoutIndex {
  const artifacts = new Map<string, LayoutEntry>();
  const foreign: unknown[] = [];
  for (const entry of entriesOf(bytes, path)) {
    const own = ownEntry(entry);
    if (own === undefined) foreign.push(entry);
    else artifacts.set(own.name, own);
  }
  return {artifacts, foreign};
}

export function encodeLayoutIndex({artifacts, foreign}: LayoutIndex): Buffer {
  const own = [...artifacts.values()].map(({name, kind, manifest: {mediaType, digest, size}}) => ({
    mediaType,
    digest,
    size,
    artifactType: ARTIFACTS[kind],
    annotations: {[NAME_ANNOTATION]: name},
  }));
  const document = {schemaVersion: 2, mediaType: MEDIA_TYPES.ociIndex, manifests: [...foreign, ...own]};
  return Buffer.from(`${JSON.stringify(document)}\n`);
}

function entriesOf(bytes: Buffer, path: string): readonly unknown[] {
  if (bytes.length > INDEX_BYTES) throw damaged(path, 'is too large');
  let json: {schemaVersion?: unknown; mediaType?: unknown; manifests?: unknown};
  try {
    json = readJson.object(JSON.parse(bytes.toString('utf8')), path);
  } catch (cause) {
    throw damaged(path, 'is not JSON', cause);
  }
  const {schemaVersion, mediaType = MEDIA_TYPES.ociIndex, manifests} = json;
  if (schemaVersion !== 2 || mediaType !== MEDIA_TYPES.ociIndex || !Array.isArray(manifests))
    throw damaged(path, 'is no index');
  return manifests;
}

/** Undefined for what is not ours. Some tools that copy an artifact leave its type away. */
function ownEntry(value: unknown): LayoutEntry | undefined {
  const entry = (value ?? {}) as Record<string, unknown>;
  const {mediaType, digest, size, artifactType} = entry;
  const name = (entry['annotations'] as Record<string, unknown> | undefined)?.[NAME_ANNOTATION];
  if (typeof name !== 'string' || mediaType !== MEDIA_TYPES.ociManifest || !isDigest(digest))
    return undefined;
  const kind = kindOf(name);
  if (kind === undefined || !Number.isSafeInteger(size)) return undefined;
  if (artifactType !== undefined && artifactType !== ARTIFACTS[kind]) return undefined;
  return {name, kind, manifest: {mediaType, digest: digest as Digest, size: size as number}};
}

/**
 * What is not as any tool writes it, in words: a reader of the index would not see it.
 * @throws `ERR_REPOSITORY_DAMAGED`
 */
export function strangenessOf(bytes: Buffer, path: string): string | undefined {
  const index = parseLayoutIndex(bytes, path);
  const entries = entriesOf(bytes, path) as Record<string, unknown>[];
  const own = entries.filter(entry => ownEntry(entry) !== undefined);
  if (own.length !== index.artifacts.size) return 'has a name twice';
  const known = [
    ...onlyKeys(JSON.parse(bytes.toString('utf8')), [
      'schemaVersion',
      'mediaType',
      'manifests',
      'annotations',
    ]),
    ...own.flatMap(entry => onlyKeys(entry, ['mediaType', 'digest', 'size', 'artifactType', 'annotations'])),
    ...own.flatMap(entry => onlyKeys(entry['annotations'], [NAME_ANNOTATION])),
  ];
  return known[0] && `has a key that nobody knows: ${known[0]}`;
}

function onlyKeys(value: unknown, known: readonly string[]): string[] {
  return Object.keys(value as object).filter(key => !known.includes(key));
}
