/** Which chunks of which packs a snapshot needs: one bit for each, in the order of the pack. What no snapshot needs is pruned. */
import type {BlobDescriptor} from './artifact.js';
import {damaged} from './repository-errors.js';

/** Bits of the chunks of a pack, the lowest first. */
export class ChunkBits {
  bytes: Uint8Array;

  constructor(bytes: Uint8Array = new Uint8Array(8)) {
    this.bytes = bytes;
  }

  add(chunk: number): void {
    const at = chunk >> 3;
    if (at >= this.bytes.length) {
      const more = new Uint8Array(Math.max(at + 1, this.bytes.length * 2));
      more.set(this.bytes);
      this.bytes = more;
    }
    this.bytes[at]! |= 1 << (chunk & 7);
  }

  has(chunk: number): boolean {
    return ((this.bytes[chunk >> 3] ?? 0) & (1 << (chunk & 7))) !== 0;
  }

  addAll(other: ChunkBits): void {
    for (const [at, byte] of other.bytes.entries()) {
      for (let bit = 0; byte >> bit !== 0; bit++) if ((byte >> bit) & 1) this.add(at * 8 + bit);
    }
  }
}

export interface PackUse {
  readonly pack: Pick<BlobDescriptor, 'digest'>;
  /** Chunks that the pack has. */
  readonly chunks: number;
  readonly used: ChunkBits;
}

const MAGIC = Buffer.from('CORACLUS');
const VERSION = 1;
const HEAD_BYTES = 16;
const PACK_BYTES = 36;

export function encodeUses(uses: readonly PackUse[]): Buffer {
  const head = Buffer.alloc(HEAD_BYTES);
  head.set(MAGIC, 0);
  head.writeUInt32LE(VERSION, 8);
  head.writeUInt32LE(uses.length, 12);
  const packs = uses.map(({pack: {digest}, chunks, used}) => {
    const pack = Buffer.alloc(PACK_BYTES + Math.ceil(chunks / 8));
    pack.write(digest.slice('sha256:'.length), 'hex');
    pack.writeUInt32LE(chunks, 32);
    pack.set(used.bytes.subarray(0, pack.length - PACK_BYTES), PACK_BYTES);
    return pack;
  });
  return Buffer.concat([head, ...packs]);
}

/** @param subject the blob's digest @throws `ERR_REPOSITORY_DAMAGED` */
export function decodeUses(blob: Buffer, subject: string): PackUse[] {
  const bad = (what: string) => damaged(subject, `does not say which chunks are used: ${what}`);
  if (blob.length < HEAD_BYTES || !blob.subarray(0, MAGIC.length).equals(MAGIC)) throw bad('its head');
  if (blob.readUInt32LE(8) !== VERSION) throw bad(`its version is ${blob.readUInt32LE(8)}`);
  const uses: PackUse[] = [];
  let at = HEAD_BYTES;
  for (let packs = blob.readUInt32LE(12); packs > 0; packs--) {
    if (at + PACK_BYTES > blob.length) throw bad('it is cut short');
    const chunks = blob.readUInt32LE(at + 32);
    const end = at + PACK_BYTES + Math.ceil(chunks / 8);
    if (end > blob.length) throw bad('it is cut short');
    const bits = new ChunkBits(new Uint8Array(blob.subarray(at + PACK_BYTES, end)));
    uses.push({pack: {digest: `sha256:${blob.toString('hex', at, at + 32)}`}, chunks, used: bits});
    at = end;
  }
  if (at !== blob.length) throw bad('something follows it');
  return uses;
}
