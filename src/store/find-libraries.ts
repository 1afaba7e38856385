/** Which files of this host a program needs to run: its dynamic linker, libraries, a script's interpreter. */
import {closeSync, existsSync, openSync, readFileSync, readSync, realpathSync} from 'node:fs';
import {dirname, join} from 'node:path';
import {CoracleError} from '../errors.js';
import {type ElfFile, type ReadAt, readElf} from './elf.js';
import {parseLdSoCache} from './ld-so-cache.js';

/**
 * The paths by which programs and what they need are opened on this host, each once, a program before what it needs; symlinks among
 * them are kept.
 * @throws `ERR_LIBRARY_NOT_FOUND`, `ERR_UNSUPPORTED_BINARY`, `ERR_FILE_NOT_FOUND`
 */
export function findLibraries(...programs: readonly string[]): string[] {
  const search: Search = {found: new Set(), caches: new Map()};
  for (const program of programs) visit(program, [], search);
  return [...search.found];
}

interface Search {
  readonly found: Set<string>;
  /** Of the linker, by machine: it changes when packages are installed, so it is kept for one search. */
  readonly caches: Map<number, ReadonlyMap<string, string>>;
}

/** @param inherited DT_RPATH directories of what led here: they count for libraries of libraries too (ld.so(8)) */
function visit(path: string, inherited: readonly string[], search: Search): void {
  const {found} = search;
  if (found.has(path)) return;
  found.add(path);
  const {interpreter, elf} = withFile(path, read => {
    const script = scriptInterpreter(read(0, 256));
    return {interpreter: script, elf: script === undefined ? readElf(read, path) : undefined};
  });
  if (interpreter !== undefined) {
    visit(interpreter, [], search);
    return;
  }
  if (elf === undefined) return;
  if (elf.interpreter !== undefined) visit(elf.interpreter, [], search);
  const origin = dirname(realpathSync(path));
  const own = (directories: readonly string[]) => directories.map(directory => expand(directory, origin));
  const rpath = [...own(elf.rpath), ...inherited];
  for (const name of elf.needed) {
    if (name.startsWith('/')) visit(name, rpath, search);
    else if (!isLinker(name, found))
      visit(locate(name, path, elf, [...rpath, ...own(elf.runpath)], search), rpath, search);
  }
}

/** The dynamic linker is a library too, already there under the name that the program gave it. */
function isLinker(name: string, found: ReadonlySet<string>): boolean {
  return name.startsWith('ld-') && [...found].some(path => path.endsWith(`/${name}`));
}

function locate(
  name: string,
  neededBy: string,
  {machine}: ElfFile,
  directories: readonly string[],
  {caches}: Search,
): string {
  const inDirectory = directories.map(directory => join(directory, name)).find(path => existsSync(path));
  const path = inDirectory ?? cacheFor(machine, caches).get(name) ?? standardPath(name, machine);
  if (path !== undefined) return path;
  throw new CoracleError(
    'ERR_LIBRARY_NOT_FOUND',
    `${neededBy} needs ${name}, which is nowhere on this host`,
    {
      hint: `Install the package that has it: apt-file search ${name}`,
      details: {library: name, neededBy},
    },
  );
}

function standardPath(name: string, machine: number): string | undefined {
  const triplet = machine === 183 ? 'aarch64-linux-gnu' : 'x86_64-linux-gnu';
  const directories = [`/lib/${triplet}`, `/usr/lib/${triplet}`, '/lib64', '/usr/lib64', '/lib', '/usr/lib'];
  return directories.map(directory => join(directory, name)).find(path => existsSync(path));
}

function cacheFor(machine: number, caches: Search['caches']): ReadonlyMap<string, string> {
  const known = caches.get(machine) ?? readCache(machine);
  caches.set(machine, known);
  return known;
}

function readCache(machine: number): ReadonlyMap<string, string> {
  try {
    return parseLdSoCache(readFileSync('/etc/ld.so.cache'), machine);
  } catch {
    return new Map(); // musl has none
  }
}

function scriptInterpreter(beginning: Buffer): string | undefined {
  return /^#![ \t]*(\/[^\s]+)/.exec(beginning.toString('latin1'))?.[1];
}

function expand(directory: string, origin: string): string {
  return directory.replace(/^\$(?:ORIGIN|\{ORIGIN\})/, origin);
}

function withFile<T>(path: string, use: (read: ReadAt) => T): T {
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch (cause) {
    throw new CoracleError('ERR_FILE_NOT_FOUND', `${path}: cannot be read`, {cause, details: {path}});
  }
  try {
    return use((offset, length) => {
      if (!Number.isSafeInteger(offset)) return Buffer.alloc(0);
      const bytes = Buffer.alloc(length);
      return bytes.subarray(0, readSync(file, bytes, 0, length, offset));
    });
  } finally {
    closeSync(file);
  }
}
