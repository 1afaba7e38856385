import {checked, declare} from './native.js';

const ct_terminal_raw = declare<[number, Uint8Array]>('int64_t ct_terminal_raw(int32_t fd, void *saved)');
const ct_terminal_restore = declare<[number, Uint8Array]>(
  'int64_t ct_terminal_restore(int32_t fd, void *saved)',
);

/** CT_TERMINAL_BYTES of `native/library.h`. */
const TERMINAL_BYTES = 128;

/**
 * Keys are handed on as they are typed, and characters written as they are: termios(3), cfmakeraw. Node's own raw mode
 * leaves output processing on. @returns how to give the terminal back @throws NativeFailure `ENOTTY`
 */
export function makeTerminalRaw(fd: number): () => void {
  const saved = Buffer.alloc(TERMINAL_BYTES);
  checked(ct_terminal_raw(fd, saved), 'terminal', String(fd));
  return () => void ct_terminal_restore(fd, saved); // it may be gone by then
}
