/**
 * A tree that builds copy from: a directory, or the layers of an image. Nothing in it leads out, and what its rules leave
 * out is not there. Paths are latin1, a character a byte.
 */
import {constants} from 'node:fs';
import type {SourceTree} from './copy-tree.js';
import {type Found, MergedLayers} from './merged-layers.js';

export interface ContextRules {
  readonly leavesOut: (path: string) => boolean;
  /** A directory that is left out may have something that is not: then it is there for its sake. */
  readonly hasExceptions: boolean;
}

export class ContextTree implements SourceTree, Disposable {
  readonly #tree: MergedLayers;
  readonly #rules: ContextRules;

  /** @param directories of layers, bottom first, or one of something else */
  constructor(directories: readonly string[], rules: ContextRules = EVERYTHING) {
    this.#tree = new MergedLayers(directories);
    this.#rules = rules;
  }

  [Symbol.dispose](): void {
    this.#tree[Symbol.dispose]();
  }

  /** Symlinks are followed, inside. */
  resolve(path: string): Found | undefined {
    const found = this.#tree.resolve(path);
    return found === undefined || this.#isOut(found, this.#rules) ? undefined : found;
  }

  /** What is at a path itself, none of whose directories is a symlink. */
  find(path: string): Found | undefined {
    const found = this.#tree.find(path);
    return found === undefined || this.#isOut(found, this.#rules) ? undefined : found;
  }

  list(path: string): Iterable<Found> {
    return this.#listBy(path, this.#rules);
  }

  /** The same tree, of which more is left out. */
  without(rules: ContextRules): SourceTree {
    return {
      list: path => {
        const both = {
          leavesOut: (each: string) => this.#rules.leavesOut(each) || rules.leavesOut(each),
          hasExceptions: this.#rules.hasExceptions || rules.hasExceptions,
        };
        return this.#listBy(path, both);
      },
    };
  }

  /** A small file as text, symlinks followed; undefined when there is none. @throws `ERR_INVALID_IMAGE` when larger than `limit` bytes */
  readText(path: string, limit: number): string | undefined {
    return this.#tree.readText(path, limit);
  }

  *#listBy(path: string, rules: ContextRules): Generator<Found> {
    for (const found of this.#tree.list(path)) if (!this.#isOut(found, rules)) yield found;
  }

  #isOut(found: Found, rules: ContextRules): boolean {
    if (found.path === '' || !rules.leavesOut(found.path)) return false;
    if (!rules.hasExceptions || (found.status.mode & constants.S_IFMT) !== constants.S_IFDIR) return true;
    return this.#listBy(found.path, rules).next().done === true;
  }
}

const EVERYTHING: ContextRules = {leavesOut: () => false, hasExceptions: false};
