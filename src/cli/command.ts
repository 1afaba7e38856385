import type {Readable} from 'node:stream';
import type {LocalTerminal} from './local-terminal.js';
import type {Sdk} from './sdk.js';

/** One command as data: the parser, `--help` and the errors about its usage are all made of this. */
export interface Command {
  /** `run`, `image ls` */
  readonly name: string;
  /** `[OPTIONS] IMAGE [COMMAND] [ARG...]` */
  readonly usage: string;
  readonly summary: string;
  /** Other spellings, shown in `--help`. */
  readonly aliases?: readonly string[];
  readonly flags: readonly Flag[];
  /** How many words it takes besides flags. */
  readonly least: number;
  readonly most: number;
  /** Flags end at the first word that is none: what follows is the container's command. */
  readonly flagsFirst?: boolean;
  readonly examples: readonly string[];
  /** It goes through all of an image or a volume. @default false */
  readonly isLongWork?: true;
  /** Of commands that Docker has not: what they end with after an error; undefined: as all others. */
  readonly exitCodeOf?: (error: unknown) => number | undefined;
  /** Docker-shaped run and create answer wrong usage and refusals in their own way. */
  readonly run: (call: Call, context: Context) => Promise<number>;
}

export interface Flag {
  /** Long name without dashes. */
  readonly name: string;
  readonly short?: string;
  /** The type that `--help` shows; a flag without takes no value. */
  readonly type?: string;
  readonly summary: string;
  /** Checks each value while the command line is read, throwing what is wrong with it. */
  readonly check?: (value: string) => void;
  /** Docker has it and we have not, or not yet: why, and what works instead. Not shown in `--help`. */
  readonly unsupported?: string;
  /** Values of an unsupported flag that ask for what there is anyway: they are taken. */
  readonly harmless?: RegExp;
  /** Taken for Docker's sake. Not shown in `--help`. */
  readonly hidden?: boolean;
}

/** A command line that was read: values in the order of their mention. */
export interface Call {
  readonly words: readonly string[];
  has(flag: string): boolean;
  /** The last value. */
  value(flag: string): string | undefined;
  values(flag: string): readonly string[];
}

export interface Output {
  write(chunk: string | Uint8Array): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
}

/** The world around a command. Tests make one of their own. */
export interface Context {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly directory: string;
  readonly stdin: Readable & {readonly isTTY?: boolean};
  readonly stdout: Output;
  readonly stderr: Output;
  /** Opened at the first call, so that usage errors cost nothing. */
  readonly sdk: () => Promise<Sdk>;
  /** Signals that this process was sent. @returns how to stop listening */
  readonly onSignal: (listener: (signal: NodeJS.Signals) => void) => () => void;
  /** The terminal that the output goes to; undefined when it is none. */
  readonly terminal: () => LocalTerminal | undefined;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}
