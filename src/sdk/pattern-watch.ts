import type {LogEntry} from './read-log.js';

/** Of a line whose end has not come. */
const LINE_CHARACTERS = 1024 * 1024;

type Stream = LogEntry['stream'];

/** Looks for a line in output that comes in pieces. */
export class PatternWatch {
  readonly #pattern: string | RegExp;
  readonly #stream: Stream | undefined;
  #left: number;
  readonly #rests: Record<Stream, {readonly decoder: InstanceType<typeof TextDecoder>; text: string}> = {
    stdout: {decoder: new TextDecoder(), text: ''},
    stderr: {decoder: new TextDecoder(), text: ''},
  };

  constructor({
    log,
    times = 1,
    stream,
  }: {
    readonly log: string | RegExp;
    readonly times?: number;
    readonly stream?: Stream;
  }) {
    this.#pattern = log;
    this.#left = times;
    this.#stream = stream;
  }

  /** Whether it has been there as often as it should, with these bytes. */
  sees(stream: Stream, bytes: Uint8Array): boolean {
    if (this.#stream !== undefined && this.#stream !== stream) return this.#left === 0;
    const rest = this.#rests[stream];
    const lines = (rest.text + rest.decoder.decode(bytes, {stream: true})).split('\n');
    rest.text = lines.pop() ?? '';
    if (rest.text.length > LINE_CHARACTERS) {
      lines.push(rest.text);
      rest.text = '';
    }
    for (const line of lines) this.#count(line);
    return this.#left === 0;
  }

  /** The last line need not have an end. */
  seesEnd(): boolean {
    for (const rest of Object.values(this.#rests)) {
      this.#count(rest.text);
      rest.text = '';
    }
    return this.#left === 0;
  }

  #count(line: string): void {
    if (this.#left > 0 && this.#matches(line.replace(/\r$/, ''))) this.#left--;
  }

  #matches(line: string): boolean {
    if (typeof this.#pattern === 'string') return line.includes(this.#pattern);
    this.#pattern.lastIndex = 0; // of one with the flag g or y
    return this.#pattern.test(line);
  }
}
