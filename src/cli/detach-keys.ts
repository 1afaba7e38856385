import {ClientError} from './cli-error.js';

/** Docker's own: ctrl-p ctrl-q. */
const DEFAULT_KEYS = Buffer.from([0x10, 0x11]);

/**
 * `ctrl-a,x`: single characters, or ctrl- with a letter or one of `@[\]^_`, between commas.
 * @throws ClientError
 */
export function parseDetachKeys(text: string | undefined): Buffer {
  if (text === undefined || text === '') return DEFAULT_KEYS;
  return Buffer.concat(
    text.split(',').map(key => {
      const [, control] = /^ctrl-([a-z@[\\\]^_])$/.exec(key) ?? [];
      if (control !== undefined) return Buffer.from([control.toUpperCase().charCodeAt(0) & 0x1f]);
      if ([...key].length === 1) return Buffer.from(key);
      throw new ClientError(
        `invalid detach keys (${text}): Unknown character: '${key}'`,
        'Single characters, or ctrl- with one of a-z @ [ \\ ] ^ _, between commas: ctrl-a,x',
      );
    }),
  );
}

/**
 * Finds the keys in what is typed, also over several pieces. Keys that only begin like them are handed on.
 * @returns given a piece, what to hand on, and whether the keys came; then nothing after them counts
 */
export function detachFilter(keys: Buffer): (piece: Buffer) => {bytes: Buffer; isDetached: boolean} {
  let matched = 0;
  return piece => {
    const bytes: number[] = [];
    for (const byte of piece) {
      if (byte === keys[matched]) {
        matched++;
        if (matched === keys.length) return {bytes: Buffer.from(bytes), isDetached: true};
        continue;
      }
      bytes.push(...keys.subarray(0, matched));
      matched = byte === keys[0] ? 1 : 0;
      if (matched === 0) bytes.push(byte);
    }
    return {bytes: Buffer.from(bytes), isDetached: false};
  };
}
