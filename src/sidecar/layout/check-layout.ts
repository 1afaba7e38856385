/** What a layout says of itself: every byte of it is known from what it tells of. */
import {readFileSync} from 'node:fs';
import {type Digest, DOCUMENT_BYTES, isDigest, MEDIA_TYPES} from '../../sdk/index.js';
import {EMPTY_BLOB} from './artifact.js';
import {parseLayoutIndex, strangenessOf} from './layout-index.js';
import type {LayoutShelf} from './layout-shelf.js';
import {ARTIFACTS} from './media-types.js';
import {readRepository} from './repository-artifact.js';
import type {ShelfProblem} from './shelf.js';

export async function checkLayout(shelf: LayoutShelf): Promise<readonly ShelfProblem[]> {
  const {places} = shelf;
  const problems: ShelfProblem[] = [];
  const attempt = async (subject: string, work: () => unknown) => {
    try {
      await work();
    } catch (error) {
      const {details} = error as {details?: Partial<ShelfProblem>};
      const what = details?.what ?? (error as Error).message;
      problems.push({subject: details?.subject ?? subject, what});
    }
  };
  const expect = (holds: boolean, what: string) => {
    if (!holds) throw new Error(what);
  };
  await attempt(places.layout, () => {
    const {imageLayoutVersion} = JSON.parse(readFileSync(places.layout, 'utf8')) as Record<string, unknown>;
    expect(imageLayoutVersion === '1.0.0', 'is not of version 1.0.0');
  });
  await attempt(places.index, async () => {
    const bytes = readFileSync(places.index);
    const strange = strangenessOf(bytes, places.index);
    expect(strange === undefined, strange ?? '');
    const index = parseLayoutIndex(bytes, places.index);
    for (const entry of index.foreign) expect(!(await isOurs(shelf, entry)), 'hides what is ours');
  });
  await attempt('repository', async () => {
    await readRepository(shelf);
    await shelf.read(EMPTY_BLOB); // what manifests without layers name
  });
  return problems;
}

/** Whether an entry that seems to be another tool's leads to one of our manifests, or to nothing. */
async function isOurs(shelf: LayoutShelf, entry: unknown): Promise<boolean> {
  const {digest, size} = (entry ?? {}) as Record<string, unknown>;
  if (!isDigest(digest) || typeof size !== 'number' || size > DOCUMENT_BYTES) return true;
  const mediaType = MEDIA_TYPES.ociManifest;
  const content = await shelf.read({mediaType, digest: digest as Digest, size});
  const {artifactType} = JSON.parse(content.toString('utf8')) as Record<string, unknown>;
  return Object.values<unknown>(ARTIFACTS).includes(artifactType);
}
