/** A Coracle store of the benchmark's own with the payload's image in it; gone at the end. */
import {mkdtempSync, statfsSync} from 'node:fs';
import {rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {Image, type OpenRuntime, Runtime} from './built-sdk.js';
import {buildPayload, type Payload} from './payload.js';

export const IMAGE = 'benchmark-true';

export class Workplace implements AsyncDisposable {
  readonly folder: string;
  readonly root: string;
  readonly run: string;
  readonly payload: Payload;
  /** As users get it: surroundings of the next start are made while nothing else is to be done. */
  readonly runtime: OpenRuntime;
  readonly #others: OpenRuntime[] = [];

  static async open(): Promise<Workplace> {
    const folder = mkdtempSync(join(tmpdir(), 'coracle-benchmark-'));
    const root = join(folder, 'root');
    const payload = buildPayload(folder);
    const run = mkdtempSync(join(memory() ?? folder, 'coracle-benchmark-run-'));
    const runtime = await Runtime.open({root, run});
    await Image.import(payload.tar, {reference: IMAGE}, {runtime});
    return new Workplace(folder, root, run, payload, runtime);
  }

  private constructor(folder: string, root: string, run: string, payload: Payload, runtime: OpenRuntime) {
    this.folder = folder;
    this.root = root;
    this.run = run;
    this.payload = payload;
    this.runtime = runtime;
  }

  /** Another runtime of the same store. @param waiting 0: makes everything when it is asked for */
  async another(waiting: number): Promise<OpenRuntime> {
    const other = await Runtime.open({root: this.root, run: this.run, waiting});
    this.#others.push(other);
    return other;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.runtime.close();
    for (const other of this.#others) await other.close();
    for (const path of [this.folder, this.run]) await rm(path, {recursive: true, force: true});
  }
}

/** Where /run is, on nearly all hosts; this one may have it on a disk, and another place in memory. */
function memory(): string | undefined {
  return ['/run', '/dev/shm'].find(path => statfsSync(path).type === TMPFS_MAGIC);
}

const TMPFS_MAGIC = 0x01021994; // statfs(2)
