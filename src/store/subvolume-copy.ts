import {dirname} from 'node:path';
import {
  copySubvolume,
  type Descriptor,
  isSubvolume,
  openDirectory,
  removeTree,
  syncFileSystem,
  tryRemoveSubvolume,
} from '../binding/index.js';

/** A copy of a subvolume of Btrfs, all of one moment, which does not last longer the more there is in it. */
export class SubvolumeCopy implements Disposable {
  /** What `take` takes at least. */
  readonly lookMs = 0;
  readonly #source: Descriptor;
  readonly #volume: Descriptor;

  /** Undefined where the two cannot be one another's: one is a plain directory. */
  static between(source: string, data: string): SubvolumeCopy | undefined {
    return isSubvolume(source) && isSubvolume(data) ? new SubvolumeCopy(source, data) : undefined;
  }

  /** @param data where the copy will be: `_data` of a volume's directory */
  private constructor(source: string, data: string) {
    this.#source = openDirectory(source);
    this.#volume = openDirectory(dirname(data));
  }

  /** What is written is on the disk by then: the kernel writes the rest before it copies. What was copied before goes. */
  async prepare(): Promise<void> {
    if (!tryRemoveSubvolume(this.#volume.fd, '_data')) await removeTree(this.#volume.fd, '_data');
    await syncFileSystem(this.#source.fd);
  }

  async take(): Promise<void> {
    await copySubvolume(this.#source.fd, this.#volume.fd, '_data');
  }

  [Symbol.dispose](): void {
    this.#source.close();
    this.#volume.close();
  }
}
