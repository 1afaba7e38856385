/**
 * A sidecar that starts before it is known what it is to be asked: while a repository is opened, whose key takes as long to derive.
 */
import {type Limits, type Mount, type Runtime, Volume} from '../../sdk/index.js';
import {ReaderSidecar} from './receive-parts.js';

export class WaitingReader implements AsyncDisposable {
  readonly #volumes: readonly string[];
  #sidecar: Promise<ReaderSidecar> | undefined;

  constructor(
    volumes: readonly string[],
    options: {readonly limits?: Limits | undefined; readonly signal?: AbortSignal | undefined},
    runtime: Runtime,
  ) {
    this.#volumes = volumes;
    this.#sidecar = (async () => {
      for (const volume of volumes) await Volume.get(volume, {runtime});
      return await ReaderSidecar.start(volumes.map(mountOf), options, {runtime});
    })();
    this.#sidecar.catch(() => {}); // told to whoever takes it
  }

  /** Once, for just these volumes; undefined: it is of others, or was taken. */
  take(volumes: readonly string[]): Promise<ReaderSidecar> | undefined {
    if (JSON.stringify(volumes) !== JSON.stringify(this.#volumes)) return undefined;
    const sidecar = this.#sidecar;
    this.#sidecar = undefined;
    return sidecar;
  }

  /** Ends one that nobody took. */
  async [Symbol.asyncDispose](): Promise<void> {
    const sidecar = await this.#sidecar?.catch(() => undefined);
    this.#sidecar = undefined;
    await sidecar?.[Symbol.asyncDispose]();
  }
}

/** How a volume is mounted to be read; one that is empty stays so. */
export function mountOf(volume: string): (target: string) => Mount {
  return target => ({type: 'volume', name: volume, target, readOnly: true, nocopy: true});
}
