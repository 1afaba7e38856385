/** What a caller may say about a build, and what it is told meanwhile. */
import type {Limits, RunOptions} from '../sdk/index.js';

/**
 * Where the files come from: a directory; the URL of an archive or of a Dockerfile by http or https; the bytes of either;
 * null for none.
 */
export type BuildContext = string | URL | AsyncIterable<Uint8Array> | null;

export interface BuildOptions {
  /**
   * The Dockerfile: a path, relative to the context's directory, or inside the archive; or its text. A file beside it with
   * `.dockerignore` at the end of its name wins over the context's. @default 'Dockerfile' `--file`
   */
  readonly dockerfile?: string | {readonly text: string};
  /** Names for the image, which leave the images that had them. @default none `--tag` */
  readonly tags?: readonly string[];
  /** Values for `ARG`. What is not declared is not used, but for the proxy variables, which are not remembered. `--build-arg` */
  readonly buildArgs?: Readonly<Record<string, string>>;
  /** Labels for the image. `--label` */
  readonly labels?: Readonly<Record<string, string>>;
  /** The stage to end with, by name or number. @default the last `--target` */
  readonly target?: string;
  /** `os/architecture[/variant]` of the images to build on. @default the host's `--platform` */
  readonly platform?: string;
  /** Look for a newer image of each base first. @default false `--pull` */
  readonly pull?: boolean;
  /** Do again what was done before. @default false `--no-cache` */
  readonly noCache?: boolean;
  /** Images whose steps need not be done again: names or ids. @default [] `--cache-from` */
  readonly cacheFrom?: readonly string[];
  /** Files or values that `RUN --mount=type=secret,id=…` may see: never kept. `--secret` */
  readonly secrets?: Readonly<Record<string, BuildSecret>>;
  /**
   * Of the `RUN` instructions: `default` is a bridge of this host, and for an ordinary user none. @default 'default'
   * `--network`
   */
  readonly network?: string;
  /** As `RunOptions` has them, for the `RUN` instructions. */
  readonly extraHosts?: RunOptions['extraHosts'];
  readonly limits?: Limits;
  readonly shmSizeBytes?: number;
  readonly ulimits?: RunOptions['ulimits'];
  readonly cgroupParent?: string;
  /** Is told what happens, in order for each stage; stages that do not need each other are built side by side. */
  readonly onProgress?: (event: BuildProgress) => void;
  /** Aborted: the build rejects with its reason, and nothing of it stays but what was remembered of steps that were done. */
  readonly signal?: AbortSignal;
}

export type BuildSecret = {readonly path: string} | {readonly value: string | Uint8Array};

interface OfStage {
  /** Its number in the Dockerfile, from 0. */
  readonly stage: number;
}

export type BuildProgress =
  /** An instruction begins; of `steps` that will be carried out. An `ARG` before the first `FROM` is told as the first stage's. */
  | (OfStage & {
      readonly type: 'step';
      readonly step: number;
      readonly steps: number;
      /** As it is written, in one line. */
      readonly instruction: string;
      readonly line: number;
    })
  | (OfStage & {readonly type: 'cached'})
  | (OfStage & {readonly type: 'running'; readonly container: string})
  | (OfStage & {readonly type: 'output'; readonly stream: 'stdout' | 'stderr'; readonly bytes: Uint8Array})
  | (OfStage & {readonly type: 'removed'; readonly container: string})
  | (OfStage & {readonly type: 'triggers'; readonly count: number})
  /** An instruction is done: the id that an image of it would have. */
  | (OfStage & {readonly type: 'made'; readonly id: string})
  /** The stage is done. */
  | (OfStage & {readonly type: 'ended'})
  | {readonly type: 'warning'; readonly message: string}
  | {readonly type: 'built'; readonly id: string}
  | {readonly type: 'tagged'; readonly reference: string};
