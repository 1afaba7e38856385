/** Packs, one after the other: frames as they come, hashed on the way, sealed where the repository has a key. */
import {createHash, type Hash} from 'node:crypto';
import {type FileHandle, open} from 'node:fs/promises';
import {join} from 'node:path';
import {type ChunkSection, SectionDraft} from './index-blob.js';
import type {FrameSealer, Sealing} from './sealing.js';
import type {StagedFile} from './shelf.js';

/** Where a frame has come to lie. */
export interface WrittenFrame {
  readonly number: number;
  readonly offset: number;
  readonly storedBytes: number;
}

export interface FinishedPack {
  readonly file: StagedFile;
  /** For the index. */
  readonly section: Buffer;
}

export class PackWriter {
  readonly #sealing: Sealing;
  readonly #path: string;
  readonly #file: FileHandle;
  readonly #sealer: FrameSealer;
  readonly #hash: Hash = createHash('sha256');
  readonly #draft = new SectionDraft();
  #bytes = 0;

  private constructor(sealing: Sealing, path: string, file: FileHandle) {
    this.#sealing = sealing;
    this.#path = path;
    this.#file = file;
    this.#sealer = sealing.sealPack();
  }

  /** @param number tells it from others in the directory */
  static async begin(sealing: Sealing, directory: string, number: number): Promise<PackWriter> {
    const path = join(directory, `pack-${number}`);
    const pack = new PackWriter(sealing, path, await open(path, 'wx', 0o600));
    await pack.#write(pack.#sealer.header);
    return pack;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** @param frame with room for the tag after its first `bytes` */
  async add(
    frame: Buffer,
    bytes: number,
    plainBytes: number,
    chunks: readonly Pick<ChunkSection, 'id' | 'bytes'>[],
  ): Promise<WrittenFrame> {
    const number = this.#draft.frames;
    const storedBytes = this.#sealer.seal(number, frame, bytes);
    const offset = this.#bytes;
    await this.#write(frame.subarray(0, storedBytes));
    this.#draft.add(storedBytes, plainBytes, chunks);
    return {number, offset, storedBytes};
  }

  async finish(): Promise<FinishedPack> {
    await this.#file.close();
    const digest = this.#hash.digest();
    return {
      file: {
        path: this.#path,
        mediaType: this.#sealing.mediaType('pack'),
        digest: `sha256:${digest.toString('hex')}`,
        size: this.#bytes,
      },
      section: this.#draft.encode(digest, this.#bytes),
    };
  }

  async abandon(): Promise<void> {
    await this.#file.close();
  }

  async #write(bytes: Buffer): Promise<void> {
    if (bytes.length === 0) return;
    this.#hash.update(bytes);
    for (let at = 0; at < bytes.length; ) {
      const {bytesWritten} = await this.#file.write(bytes, at, bytes.length - at, this.#bytes + at);
      at += bytesWritten;
    }
    this.#bytes += bytes.length;
  }
}
