/** What COPY and ADD copy: looked up in a tree, by names and patterns. */
import {constants} from 'node:fs';
import {posix} from 'node:path';
import type {ContextTree, Found} from '../store/index.js';
import {sourceError} from './build-error.js';
import {compileGlob, hasWildcards, unescaped} from './path-patterns.js';

export interface FoundSource {
  readonly found: Found;
  /** Latin1, below the root of its tree: as it was written, not where a symlink leads. */
  readonly path: string;
}

/**
 * In the order in which they are written; those of a pattern by name.
 * @param where what messages say before the path: of the context, or not
 * @throws `ERR_BUILD_SOURCE` when there is none, or one that leads out
 */
export function findSources(
  tree: ContextTree,
  written: string,
  {keyword, inContext}: {readonly keyword: string; readonly inContext: boolean},
): FoundSource[] {
  const path = posix.normalize(written).replace(/^\/+/, '').replace(/\/+$/, '') || '.';
  if (path === '..' || path.startsWith('../')) {
    throw sourceError(`${keyword} failed: forbidden path outside the build context: ${written} ()`, {
      path: written,
    });
  }
  if (!hasWildcards(path)) {
    const latin1 = asLatin1(unescaped(path === '.' ? '' : path));
    const found = tree.resolve(latin1);
    if (found === undefined) throw missing(keyword, inContext, path);
    return [{found, path: latin1}];
  }
  const sources = byPattern(tree, path.split('/'), '');
  if (sources.length === 0)
    throw sourceError(`${keyword} failed: no source files were specified`, {path: written});
  return sources;
}

/** A pattern takes no slash: component by component, only where the one before it matched. */
function byPattern(tree: ContextTree, components: readonly string[], directory: string): FoundSource[] {
  const [first = '', ...rest] = components;
  const matches = compileGlob(first);
  const names = [...tree.list(directory)]
    .filter(({path}) => matches(Buffer.from(nameOf(path), 'latin1').toString()))
    .sort((a, b) => (a.path < b.path ? -1 : 1));
  return names.flatMap(found => {
    if (rest.length > 0) return isDirectory(found) ? byPattern(tree, rest, found.path) : [];
    const resolved = tree.resolve(found.path);
    return resolved === undefined ? [] : [{found: resolved, path: found.path}];
  });
}

function missing(keyword: string, inContext: boolean, path: string) {
  const where = inContext ? 'file not found in build context or excluded by .dockerignore: ' : '';
  return sourceError(`${keyword} failed: ${where}stat ${path}: file does not exist`, {path});
}

export function isDirectory({status}: Found): boolean {
  return (status.mode & constants.S_IFMT) === constants.S_IFDIR;
}

export function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

export function asLatin1(text: string): string {
  return Buffer.from(text).toString('latin1');
}
