/** A Coracle store of the benchmark's own with the payload's image in it; gone at the end. */
import {mkdtempSync} from 'node:fs';
import {rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {Image, type OpenRuntime, Runtime} from './built-sdk.js';
import {buildPayload, type Payload} from './payload.js';

export const IMAGE = 'benchmark-true';

export class Workplace implements AsyncDisposable {
  readonly folder: string;
  readonly root: string;
  readonly payload: Payload;
  readonly runtime: OpenRuntime;

  static async open(): Promise<Workplace> {
    const folder = mkdtempSync(join(tmpdir(), 'coracle-benchmark-'));
    const root = join(folder, 'root');
    const payload = buildPayload(folder);
    const runtime = await Runtime.open({root, run: join(folder, 'run')});
    await Image.import(payload.tar, {reference: IMAGE}, {runtime});
    return new Workplace(folder, root, payload, runtime);
  }

  private constructor(folder: string, root: string, payload: Payload, runtime: OpenRuntime) {
    this.folder = folder;
    this.root = root;
    this.payload = payload;
    this.runtime = runtime;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.runtime.close();
    await rm(this.folder, {recursive: true, force: true});
  }
}
