/** The floor program (`native/floor.c`) as a child process: one whole life per request. */
import {execFileSync, spawn} from 'node:child_process';
import {join} from 'node:path';
import {createInterface} from 'node:readline';
import {fileURLToPath} from 'node:url';
import type {RunOptions} from './built-sdk.js';
import {OPTIONS} from './isolation.js';

/** Milliseconds from its beginning until exec had succeeded, the exit was reaped, and all was removed. */
export interface FloorLife {
  readonly startMs: number;
  readonly lifeMs: number;
  readonly removedMs: number;
}

export class Floor implements AsyncDisposable {
  readonly #child;
  readonly #lines;
  readonly #ended: Promise<unknown>;

  /**
   * @param root a Coracle root that nobody removes meanwhile, with `image` in it
   * @param waiting only the program counts: its surroundings are made before, as by the pool
   */
  constructor(root: string, image: string, waiting = false, options: RunOptions = OPTIONS) {
    const here = fileURLToPath(new URL('.', import.meta.url));
    execFileSync('make', ['--silent', '-C', join(here, '../native'), 'floor']);
    const plans = waiting ? [`${root}.base`, `${root}.rest`] : [`${root}.plan`];
    const writer = ['--import=tsx', join(here, 'write-plan.ts'), root, image, JSON.stringify(options)];
    const id = execFileSync(process.execPath, [...writer, ...plans], {encoding: 'utf8'}).trim();
    const [plan = '', ...rest] = plans;
    this.#child = spawn(join(here, '../native/build/floor'), [plan, id, ...rest], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.#ended = new Promise(resolve => this.#child.once('exit', resolve));
    this.#lines = createInterface(this.#child.stdout)[Symbol.asyncIterator]();
  }

  async once(): Promise<FloorLife> {
    this.#child.stdin.write('.');
    const {value, done} = await this.#lines.next();
    const numbers = String(value).split(' ').map(Number);
    if (done || numbers.length !== 4 || numbers[3] !== 0) throw new Error(`floor: ${done ? 'ended' : value}`);
    const [startMs = 0, lifeMs = 0, removedMs = 0] = numbers.map(ns => ns / 1e6);
    return {startMs, lifeMs, removedMs};
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.stdin.end();
    await this.#ended;
  }
}
