/**
 * Encryption of blobs, or none. AES-256-GCM; each blob has a key of its own, derived by HKDF-SHA-256 from the repository's
 * master key and 32 random bytes at the blob's beginning, so that a counter is nonce enough.
 */
import {createCipheriv, createDecipheriv, createHash, hkdfSync, randomBytes} from 'node:crypto';
import {BLOBS, type BlobKind, ENCRYPTED} from './media-types.js';
import {damaged} from './repository-errors.js';

export const SALT_BYTES = 32;
export const TAG_BYTES = 16;

/** A blob of which all is in memory. */
export interface SealedBlob {
  readonly mediaType: string;
  readonly content: Buffer;
}

/** What seals the frames of one pack. */
export interface FrameSealer {
  /** Comes before the first frame. */
  readonly header: Buffer;
  /** Seals the first `bytes` of `frame` in place, the tag after them. @returns how many bytes there are */
  seal(number: number, frame: Buffer, bytes: number): number;
}

export interface FrameOpener {
  /** Opens a frame in place. @returns its bytes, or undefined when somebody has changed them */
  open(number: number, sealed: Buffer): Buffer | undefined;
}

export class Sealing {
  readonly #master: Buffer | undefined;

  /** @param master 32 bytes; undefined: nothing is encrypted */
  constructor(master: Buffer | undefined) {
    this.#master = master;
  }

  get isKeyed(): boolean {
    return this.#master !== undefined;
  }

  mediaType(kind: BlobKind): string {
    return this.#master === undefined ? BLOBS[kind] : BLOBS[kind] + ENCRYPTED;
  }

  /** Of chunks' ids; undefined: these are plain SHA-256. */
  get idKey(): Buffer | undefined {
    return this.#master && derive(this.#master, NO_SALT, 'coracle backup chunk ids', 32);
  }

  /** Of the cutter: one that nobody knows says nothing about the content by the sizes of chunks. */
  get gearTable(): Buffer {
    if (this.#master !== undefined) return derive(this.#master, NO_SALT, 'coracle backup gear', GEAR_BYTES);
    const entry = (index: number) =>
      createHash('sha256')
        .update(Buffer.from([index]))
        .digest()
        .subarray(0, 8);
    return Buffer.concat(Array.from({length: GEAR_BYTES / 8}, (_, index) => entry(index)));
  }

  seal(kind: BlobKind, content: Buffer): SealedBlob {
    const mediaType = this.mediaType(kind);
    if (this.#master === undefined) return {mediaType, content};
    const salt = randomBytes(SALT_BYTES);
    const key = derive(this.#master, salt, BLOBS[kind], 32);
    const cipher = createCipheriv('aes-256-gcm', key, nonce(0));
    return {
      mediaType,
      content: Buffer.concat([salt, cipher.update(content), cipher.final(), cipher.getAuthTag()]),
    };
  }

  /**
   * @param subject what the blob is called in an error
   * @throws `ERR_REPOSITORY_DAMAGED`, also for what is not encrypted and should be: whoever could put it there had no key
   */
  open(kind: BlobKind, {mediaType, content}: SealedBlob, subject: string): Buffer {
    if (mediaType !== this.mediaType(kind)) {
      throw damaged(subject, `is ${mediaType}, where ${this.mediaType(kind)} belongs`);
    }
    if (this.#master === undefined) return content;
    if (content.length < SALT_BYTES + TAG_BYTES) throw damaged(subject, 'is too short to be encrypted');
    const key = derive(this.#master, content.subarray(0, SALT_BYTES), BLOBS[kind], 32);
    const decipher = createDecipheriv('aes-256-gcm', key, nonce(0));
    decipher.setAuthTag(content.subarray(-TAG_BYTES));
    const plain = decipher.update(content.subarray(SALT_BYTES, -TAG_BYTES));
    try {
      return Buffer.concat([plain, decipher.final()]);
    } catch (cause) {
      throw damaged(subject, 'was not encrypted with the key of this repository', cause);
    }
  }

  /** Bytes before the first frame of a pack. */
  get headerBytes(): number {
    return this.#master === undefined ? 0 : SALT_BYTES;
  }

  /** Bytes by which a frame grows. */
  get frameTagBytes(): number {
    return this.#master === undefined ? 0 : TAG_BYTES;
  }

  /** For a new pack. */
  sealPack(): FrameSealer {
    if (this.#master === undefined) return {header: Buffer.alloc(0), seal: (_, __, bytes) => bytes};
    const header = randomBytes(SALT_BYTES);
    const key = derive(this.#master, header, BLOBS.pack, 32);
    return {
      header,
      seal(number, frame, bytes) {
        const cipher = createCipheriv('aes-256-gcm', key, nonce(number));
        inPlace(cipher, frame.subarray(0, bytes));
        cipher.final();
        cipher.getAuthTag().copy(frame, bytes);
        return bytes + TAG_BYTES;
      },
    };
  }

  openPack(header: Buffer): FrameOpener {
    if (this.#master === undefined) return {open: (_, sealed) => sealed};
    const key = derive(this.#master, header, BLOBS.pack, 32);
    return {
      open(number, sealed) {
        if (sealed.length < TAG_BYTES) return undefined;
        const bytes = sealed.subarray(0, -TAG_BYTES);
        const decipher = createDecipheriv('aes-256-gcm', key, nonce(number));
        decipher.setAuthTag(sealed.subarray(-TAG_BYTES));
        inPlace(decipher, bytes);
        try {
          decipher.final();
          return bytes;
        } catch {
          return undefined;
        }
      },
    };
  }
}

const GEAR_BYTES = 2048;
const NO_SALT = Buffer.alloc(0);

export function derive(key: Buffer, salt: Buffer, purpose: string, bytes: number): Buffer {
  return Buffer.from(hkdfSync('sha256', key, salt, purpose, bytes));
}

/** 96 bits, big endian. */
function nonce(counter: number): Buffer {
  const bytes = Buffer.alloc(12);
  bytes.writeUInt32BE(counter, 8);
  return bytes;
}

/** In slices: a large one is new memory each time, which costs more than the encryption. */
function inPlace(cipher: {update(bytes: Buffer): Buffer}, bytes: Buffer): void {
  for (let at = 0; at < bytes.length; at += SLICE_BYTES) {
    const slice = bytes.subarray(at, at + SLICE_BYTES);
    cipher.update(slice).copy(slice);
  }
}

const SLICE_BYTES = 32_768;
