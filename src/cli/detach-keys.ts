import {CoracleError} from '../errors.js';

/** Docker's own: ctrl-p ctrl-q. */
const DEFAULT_KEYS = Buffer.from([0x10, 0x11]);

/**
 * `a`, `ctrl-a` to `ctrl-z`, `ctrl-@ [ \\ ] ^ _`, with commas between, as moby/term's ToBytes reads them.
 * @param what dockerd calls them one way for a container and another for a command in one
 * @throws CoracleError `ERR_INVALID_OPTION` with dockerd's words
 */
export function parseDetachKeys(text = '', what: 'detach' | 'escape' = 'detach'): Buffer {
  if (text === '') return DEFAULT_KEYS;
  return Buffer.from(
    text.split(',').map(key => {
      if ([...key].length === 1 && key.charCodeAt(0) < 0x80) return key.charCodeAt(0);
      const control = /^ctrl-([a-z@[\\\]^_])$/.exec(key.toLowerCase())?.[1];
      if (control === undefined) {
        throw new CoracleError('ERR_INVALID_OPTION', `Invalid ${what} keys (${text}) provided`, {
          details: {option: 'detach-keys'},
        });
      }
      return control.toUpperCase().charCodeAt(0) & 0x1f;
    }),
  );
}

/**
 * Finds the keys in what is typed, also over several pieces. Keys that only begin like them are handed on.
 * @returns given a piece, what to hand on, what is held back since it may be the keys' beginning, and whether the keys came;
 *   then nothing after them counts
 */
export function detachFilter(keys: Buffer): (piece: Buffer) => DetachFiltered {
  let matched = 0;
  return piece => {
    const bytes: number[] = [];
    for (const byte of piece) {
      if (byte === keys[matched]) {
        matched++;
        if (matched === keys.length) {
          return {bytes: Buffer.from(bytes), held: Buffer.alloc(0), isDetached: true};
        }
        continue;
      }
      bytes.push(...keys.subarray(0, matched));
      matched = byte === keys[0] ? 1 : 0;
      if (matched === 0) bytes.push(byte);
    }
    return {bytes: Buffer.from(bytes), held: keys.subarray(0, matched), isDetached: false};
  };
}

interface DetachFiltered {
  readonly bytes: Buffer;
  readonly held: Buffer;
  readonly isDetached: boolean;
}
