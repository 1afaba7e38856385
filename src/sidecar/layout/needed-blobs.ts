/** Which blobs the artifacts of a layout need; what else lies there is nobody's. */
import {readdirSync, rmSync, statSync} from 'node:fs';
import {DOCUMENT_BYTES, hexOf, isDigest, MEDIA_TYPES} from '../../sdk/index.js';
import {EMPTY_BLOB, parseArtifact} from './artifact.js';
import type {LayoutEntry} from './layout-index.js';
import type {LayoutShelf} from './layout-shelf.js';

/** Hexadecimal digits. @throws `ERR_REPOSITORY_DAMAGED` when a manifest does not say what it needs */
export async function neededBlobs(shelf: LayoutShelf): Promise<Set<string>> {
  const {artifacts, foreign} = shelf.readIndex();
  const needed = new Set<string>();
  for (const entry of artifacts.values()) {
    for (const {digest} of await blobsOf(shelf, entry)) needed.add(hexOf(digest));
  }
  for (const entry of foreign) await addForeign(shelf, entry, needed);
  return needed;
}

async function blobsOf(shelf: LayoutShelf, {kind, manifest}: LayoutEntry) {
  const {config, layers, subject} = parseArtifact(await shelf.read(manifest), kind, manifest.digest);
  return [manifest, config, ...layers, EMPTY_BLOB, ...(subject ? [subject] : [])];
}

const NESTED = new Set<unknown>([
  MEDIA_TYPES.ociIndex,
  MEDIA_TYPES.ociManifest,
  MEDIA_TYPES.dockerIndex,
  MEDIA_TYPES.dockerManifest,
]);

/** Whatever looks like a digest in what another tool wrote, and in what that leads to. */
async function addForeign(shelf: LayoutShelf, value: unknown, needed: Set<string>): Promise<void> {
  if (typeof value !== 'object' || value === null) return;
  const {digest, size, mediaType} = value as Record<string, unknown>;
  if (isDigest(digest) && !needed.has(hexOf(digest))) {
    needed.add(hexOf(digest));
    if (NESTED.has(mediaType) && typeof size === 'number' && size <= DOCUMENT_BYTES) {
      const content = await shelf.read({mediaType: String(mediaType), digest, size});
      await addForeign(shelf, JSON.parse(content.toString('utf8')), needed);
    }
  }
  for (const inner of Object.values(value)) await addForeign(shelf, inner, needed);
}

/** Of the blobs, or of all, those that nobody needs. @returns bytes */
export async function removeUnneeded(shelf: LayoutShelf, hexes?: readonly string[]): Promise<number> {
  if (hexes?.length === 0) return 0;
  const needed = await neededBlobs(shelf);
  const {blobs} = shelf.places;
  let freed = 0;
  for (const hex of hexes ?? readdirSync(blobs)) {
    if (needed.has(hex)) continue;
    const path = `${blobs}/${hex}`;
    freed += statSync(path, {throwIfNoEntry: false})?.size ?? 0;
    rmSync(path, {force: true});
  }
  return freed;
}
