import type {ObjectKind} from '../inspect/index.js';

/** What `ts-inspect` touches, given by whoever starts it: then it runs anywhere and tests need no process. */
export interface InspectIo {
  readonly stdout: (text: string) => void;
  readonly stderr: (text: string) => void;
  /** The JSON that `--input` means: of a file, of standard input for `-`, or of an archive's images. */
  readonly readInput: (path: string) => Promise<string>;
  /** The text of a file. */
  readonly readText: (path: string) => Promise<string>;
  /** The engine's JSON for an object; undefined if there is none of that kind and name. */
  readonly resolve: (kind: ObjectKind, name: string, options: {size: boolean}) => Promise<string | undefined>;
  /** Names of all objects, for completion. */
  readonly names: () => Promise<readonly string[]>;
  /** Resolves when objects are to be looked at again, to false when whoever watches has seen enough. */
  readonly pause: () => Promise<boolean>;
  /** Milliseconds since some moment. */
  readonly now: () => number;
  readonly version: string | Promise<string>;
}
