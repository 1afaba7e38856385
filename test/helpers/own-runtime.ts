import {mkdtempSync} from 'node:fs';
import {rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import test from 'ava';
import {
  Container,
  type Exit,
  Image,
  type RunningContainer,
  type RunOptions,
  Runtime,
} from '../../src/index.js';

/**
 * One runtime for the tests of one file, with a store of its own and the `host-shell` image; opened on first use,
 * closed and removed after the last test.
 *
 *     const own = ownRuntime();
 *     asRoot('a shell ends with its code', async t => {
 *       t.like(await own.sh('exit 3'), {code: 3});
 *     });
 */
export class OwnRuntime {
  readonly folder: string;
  readonly root: string;
  readonly runDirectory: string;
  #opened: Promise<Runtime> | undefined;

  readonly #waiting: number;

  /** @param waiting how many starts are made ahead of time: none, so that what is there is what was asked for */
  constructor(waiting = 0, folder = mkdtempSync(join(tmpdir(), 'coracle-test-'))) {
    this.#waiting = waiting;
    this.folder = folder;
    this.root = join(folder, 'root');
    this.runDirectory = join(folder, 'run');
  }

  get runtime(): Promise<Runtime> {
    this.#opened ??= this.#open();
    return this.#opened;
  }

  async #open(): Promise<Runtime> {
    const runtime = await Runtime.open({root: this.root, run: this.runDirectory, waiting: this.#waiting});
    await Image.hostShell({runtime});
    return runtime;
  }

  /** Starts a container of `host-shell` or another image. */
  async run(options: RunOptions = {}, image = 'host-shell'): Promise<RunningContainer> {
    return Container.run(image, options, {runtime: await this.runtime});
  }

  async create(options: RunOptions = {}, image = 'host-shell'): Promise<Container> {
    return Container.create(image, options, {runtime: await this.runtime});
  }

  /** Starts a shell that carries out a script. */
  start(script: string, options: RunOptions = {}, image?: string): Promise<RunningContainer> {
    return this.run({...options, command: ['sh', '-c', script]}, image);
  }

  /** How a script ended. */
  async sh(script: string, options: RunOptions = {}, image?: string): Promise<Exit> {
    return (await this.start(script, options, image)).exit;
  }

  /** All that a script wrote to stdout; its failure is an error. */
  async output(script: string, options: RunOptions = {}, image?: string): Promise<string> {
    const container = await this.start(script, options, image);
    const text = await textOf(container.stdout!);
    const exit = await container.exit;
    if (exit.kind !== 'code' || exit.code !== 0) {
      throw new Error(`${script}: ${JSON.stringify(exit)}\n${text}`);
    }
    return text;
  }

  async close(): Promise<void> {
    await (await this.#opened)?.close();
    await rm(this.folder, {recursive: true, force: true});
  }
}

/** One for all tests of the file that calls this. */
export function ownRuntime(waiting = 0): OwnRuntime {
  const own = new OwnRuntime(waiting);
  test.after.always(() => own.close());
  return own;
}

export async function textOf(stream: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}
