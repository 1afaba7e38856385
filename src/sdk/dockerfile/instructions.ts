/** What the instructions of a Dockerfile say, before variables are replaced. */
import type {Healthcheck} from '../../oci/index.js';
import type {Heredoc, Instruction} from './read-dockerfile.js';

/** `NAME=value`; `isOld` of the form `NAME value`. */
export interface Pair {
  readonly name: string;
  readonly value: string;
  readonly isOld?: boolean;
}

/** A command: words to execute, or text for a shell. */
export type CommandLine =
  | {readonly form: 'exec'; readonly words: readonly string[]}
  | {readonly form: 'shell'; readonly text: string};

export interface CopySources {
  /** Paths, patterns or, of ADD, URLs. */
  readonly sources: readonly string[];
  /** Files that stand in the Dockerfile. */
  readonly inline: readonly Heredoc[];
  readonly destination: string;
  readonly chown?: string;
  readonly chmod?: string;
  readonly link: boolean;
  readonly exclude: readonly string[];
}

export type Statement =
  | {readonly kind: 'from'; readonly base: string; readonly name?: string; readonly platform?: string}
  | {readonly kind: 'arg'; readonly args: readonly {readonly name: string; readonly value?: string}[]}
  | {readonly kind: 'env'; readonly pairs: readonly Pair[]}
  | {readonly kind: 'label'; readonly pairs: readonly Pair[]}
  | {readonly kind: 'maintainer'; readonly author: string}
  | ({readonly kind: 'add'; readonly checksum?: string; readonly unpack?: boolean} & CopySources)
  | ({readonly kind: 'copy'; readonly from?: string; readonly parents: boolean} & CopySources)
  | {
      readonly kind: 'run';
      readonly command: CommandLine;
      readonly heredocs: readonly Heredoc[];
      /** `type=cache,target=/x`, not yet read: they may have variables. */
      readonly mounts: readonly string[];
      readonly network: 'default' | 'none' | 'host';
      readonly security: 'sandbox' | 'insecure';
    }
  | {readonly kind: 'cmd'; readonly command: CommandLine | undefined}
  | {readonly kind: 'entrypoint'; readonly command: CommandLine | undefined}
  | {readonly kind: 'shell'; readonly shell: readonly string[]}
  | {readonly kind: 'workdir'; readonly path: string}
  | {readonly kind: 'user'; readonly user: string}
  | {readonly kind: 'volume'; readonly paths: readonly string[]}
  | {readonly kind: 'expose'; readonly ports: readonly string[]}
  | {readonly kind: 'stopsignal'; readonly signal: string}
  | {readonly kind: 'healthcheck'; readonly healthcheck: Healthcheck}
  /** With its heredocs, as a Dockerfile would have it. */
  | {readonly kind: 'onbuild'; readonly trigger: string};

export type Of<Kind extends Statement['kind']> = Extract<Statement, {kind: Kind}>;

/** A statement and where it was written. */
export type Step = Statement & {readonly at: Instruction};
