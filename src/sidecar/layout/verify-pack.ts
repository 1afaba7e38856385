import {createHash} from 'node:crypto';
import {FrameDecompressor, hexOf} from '../../sdk/index.js';
import type {BlobDescriptor} from './artifact.js';
import {chunkId} from './chunk-reader.js';
import {FRAME_MOST_BYTES, type PackSection} from './index-blob.js';
import {damaged} from './repository-errors.js';
import type {Repository} from './stored-snapshots.js';

/**
 * Whether a pack has the content that its digest says, and the chunks that the index says.
 * @param section undefined where no index tells of it: then it is its digest alone
 * @throws `ERR_REPOSITORY_DAMAGED`
 */
export async function checkPack(
  {shelf, sealing}: Repository,
  pack: BlobDescriptor,
  section: PackSection | undefined,
  signal?: AbortSignal,
): Promise<true> {
  const bad = (what: string, cause?: unknown) => damaged(pack.digest, what, cause);
  if (!(await shelf.present(pack, signal))) throw bad('is missing, or has another size');
  const hash = createHash('sha256');
  const header = Buffer.alloc(sealing.headerBytes);
  if (section === undefined) {
    const buffer = Buffer.allocUnsafe(PART_BYTES);
    for (let at = 0; at < pack.size; at += buffer.length) {
      const part = buffer.subarray(0, Math.min(buffer.length, pack.size - at));
      await shelf.readRange(pack, at, part, signal);
      hash.update(part);
    }
    return expectDigest(hash.digest('hex'), pack);
  }
  if (section.bytes !== pack.size) throw bad(`has ${pack.size} bytes, and ${section.bytes} by its index`);
  if (header.length > 0) await shelf.readRange(pack, 0, header, signal);
  hash.update(header);
  const opener = sealing.openPack(header);
  using decompressor = new FrameDecompressor();
  const {stored, plain} = roomFor(section);
  // The digest is what tells of damage; where in the pack it is, the first frame that cannot be read says.
  let first: Error | undefined;
  for (const frame of section.frames) {
    signal?.throwIfAborted();
    const sealed = stored.subarray(0, frame.storedBytes);
    await shelf.readRange(pack, frame.offset, sealed, signal);
    hash.update(sealed);
    if (first !== undefined) continue;
    try {
      const compressed = opener.open(frame.number, sealed);
      if (compressed === undefined) throw bad(`is damaged: frame ${frame.number} was changed`);
      const bytes = await decompressor.decompress(plain, compressed);
      if (bytes !== frame.plainBytes) throw bad(`is damaged: frame ${frame.number} has ${bytes} bytes`);
      for (const {id, offset, bytes: size} of frame.chunks) {
        const chunk = plain.subarray(offset, offset + size);
        if (!chunkId(chunk, sealing.idKey).equals(id))
          throw bad(`is damaged: a chunk of frame ${frame.number} is not what it was`);
      }
    } catch (error) {
      first =
        (error as {code?: unknown}).code === 'ERR_DAMAGED_DATA'
          ? bad(`is damaged: frame ${frame.number} cannot be decompressed`, error)
          : (error as Error);
    }
  }
  if (first !== undefined) throw first;
  return expectDigest(hash.digest('hex'), pack);
}

const PART_BYTES = 1024 * 1024;

/** As much as the largest frame needs, for all of them. */
function roomFor({frames}: PackSection): {readonly stored: Buffer; readonly plain: Buffer} {
  const most = (size: (frame: PackSection['frames'][number]) => number) =>
    Math.min(FRAME_MOST_BYTES, Math.max(1, ...frames.map(size)));
  return {
    stored: Buffer.allocUnsafe(most(({storedBytes}) => storedBytes)),
    plain: Buffer.allocUnsafe(most(({plainBytes}) => plainBytes)),
  };
}

function expectDigest(hex: string, {digest}: BlobDescriptor): true {
  if (hex === hexOf(digest)) return true;
  throw damaged(digest, 'has another content than its digest says');
}
