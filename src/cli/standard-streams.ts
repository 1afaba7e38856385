import {constants, fstatSync, openSync, writeSync} from 'node:fs';
import {getSystemErrorMap} from 'node:util';
import type {Output} from './command.js';

type Name = 'stdout' | 'stderr';
type StandardOutput = Output & Pick<NodeJS.WriteStream, 'writableLength' | 'errored'>;

const made = new Map<Name, StandardOutput>();

/**
 * Standard output and standard error. Node's own streams take 2-5 ms to load and make: whoever may do without asks at the
 * first byte, and what is no terminal is written directly.
 */
export function standardStream(name: Name): Output {
  const known = made.get(name);
  if (known !== undefined) return known;
  const fd = directly(name);
  const output = fd === undefined ? nodeStream(name) : new DirectOutput(name, fd);
  made.set(name, output);
  return output;
}

/** Whether this process may end. What was never asked for has nothing left to write; an error is told a little later. */
export function isEverythingWritten(): boolean {
  return [...made.values()].every(({writableLength, errored}) => writableLength === 0 && errored === null);
}

/** A file, /dev/null or a pipe; at the first write that does not go through at once Node's stream takes over. */
class DirectOutput implements StandardOutput {
  readonly #name: Name;
  readonly #fd: number;
  #stream: NodeJS.WriteStream | undefined;

  constructor(name: Name, fd: number) {
    this.#name = name;
    this.#fd = fd;
  }

  get writableLength(): number {
    return this.#stream?.writableLength ?? 0;
  }

  get errored(): Error | null {
    return this.#stream?.errored ?? null;
  }

  write(chunk: string | Uint8Array): boolean {
    let bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
    try {
      while (this.#stream === undefined && bytes.length > 0)
        bytes = bytes.subarray(writeSync(this.#fd, bytes));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') leave(this.#name, error as Error);
      // The pipe is full: Node's stream waits.
      this.#stream = nodeStream(this.#name);
    }
    return bytes.length === 0 || this.#stream!.write(bytes);
  }

  /** After a `write` that returned false. */
  once(event: 'drain', listener: () => void): void {
    this.#stream!.once(event, listener);
  }
}

/** The descriptor to write to without Node's stream. A pipe is opened anew: flags of the one we were given are others' too. */
function directly(name: Name): number | undefined {
  const fd = name === 'stdout' ? 1 : 2;
  try {
    const stat = fstatSync(fd);
    if (stat.isFile() || (stat.isCharacterDevice() && stat.rdev === DEV_NULL)) return fd;
    return stat.isFIFO()
      ? openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK)
      : undefined;
  } catch {
    return undefined; // closed; a pipe of another user, or that nobody reads any longer; no /proc
  }
}

/** linux/major.h, MEM_MAJOR 1: device 3 of it. Terminals are character devices, too. */
const DEV_NULL = 0x103;

function nodeStream(name: Name): NodeJS.WriteStream {
  const stream = process[name];
  stream.on('error', error => leave(name, error));
  return stream;
}

/** `coracle ps | head -1`: the reader is gone, which is no error of ours. Of a full disk and its like docker's client says so much. */
function leave(name: Name, error: NodeJS.ErrnoException): never {
  if (error.code === 'EPIPE') process.exit(128 + 13); // SIGPIPE
  const [, what = error.message] = getSystemErrorMap().get(error.errno ?? 0) ?? [];
  try {
    writeSync(2, `write /dev/${name}: ${what}\n`);
  } catch {
    // That cannot be written either.
  }
  process.exit(1);
}
