/** The near end of a terminal, and of pipes what is special about ends that others may hold: `native/library-terminal.c`. */
import {Descriptor} from './files.js';
import {checked, declare} from './native.js';

const ct_receive_descriptor = declare<[number]>('int64_t ct_receive_descriptor(int32_t socket)');
const ct_set_terminal_size = declare<[number, number, number]>(
  'int64_t ct_set_terminal_size(int32_t terminal, uint32_t rows, uint32_t columns)',
);
const ct_make_raw = declare<[number, Uint8Array, number]>(
  'int64_t ct_make_raw(int32_t terminal, void *before, int64_t size)',
);
const ct_restore_terminal = declare<[number, Uint8Array]>(
  'int64_t ct_restore_terminal(int32_t terminal, void *before)',
);
const ct_readable = declare<[number]>('int64_t ct_readable(int32_t file)');

export interface TerminalSize {
  readonly rows: number;
  readonly columns: number;
}

/** The descriptor that was sent over a socket. @throws NativeFailure `EAGAIN` when none was */
export function receiveDescriptor(socket: number): Descriptor {
  return new Descriptor(Number(checked(ct_receive_descriptor(socket), 'recvmsg', '')));
}

/** Those in it get SIGWINCH. @throws NativeFailure */
export function setTerminalSize(terminal: number, {rows, columns}: TerminalSize): void {
  checked(ct_set_terminal_size(terminal, rows, columns), 'set the size of a terminal', '');
}

/**
 * Every key goes through as it is typed, and every byte is written as it is; Node's own raw mode still changes the latter.
 * @returns how to put it back @throws NativeFailure `ENOTTY`
 */
export function makeRaw(terminal: number): () => void {
  const before = Buffer.alloc(TERMIOS_BYTES);
  checked(ct_make_raw(terminal, before, before.length), 'make a terminal raw', '');
  return () => void ct_restore_terminal(terminal, before);
}

/** More than a struct termios of any C library. */
const TERMIOS_BYTES = 128;

/** How many bytes a pipe or a terminal holds for its reader. */
export function readableBytes(fd: number): number {
  return Math.max(Number(ct_readable(fd)), 0);
}
