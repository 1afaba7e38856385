/**
 * Names by which the containers of a network find each other, as files that its resolvers read: below the network's live
 * directory `names/NAME/ADDRESS`, a symlink to who holds the address, and `pointers/ADDRESS`, a symlink to the
 * container's name. Everybody may read them: who answers has no privileges.
 */
import {chmodSync, mkdirSync, readdirSync, rmdirSync, rmSync, symlinkSync} from 'node:fs';
import {dirname, join} from 'node:path';
import {HOST, STEP_FLAGS, type Step} from '../binding/index.js';
import {linkTarget, type TakenAddress} from './addresses.js';

/** What leads to the addresses of an endpoint. */
export interface Named {
  /** `names` and `pointers` are below it. */
  readonly directory: string;
  readonly names: readonly string[];
  /** What its addresses are called. */
  readonly pointer: string;
  readonly addresses: readonly TakenAddress[];
}

/** Those that can be asked for, in lower case, each once: the rest is left out. */
export function resolvableNames(names: readonly (string | undefined)[]): string[] {
  const lower = names.flatMap(name => name?.toLowerCase() ?? []);
  return [...new Set(lower)].filter(name => /^[a-z0-9_.-]{1,253}$/.test(name) && !/^\.{1,2}$/.test(name));
}

/** There when this returns; what was there of the same holders is no obstacle. */
export function addNames({directory, names, pointer, addresses}: Named): void {
  if (names.length === 0) return;
  for (const {address, holder} of addresses) {
    for (const name of names) link(join(directory, 'names', name), address, holder);
    link(join(directory, 'pointers'), address, pointer);
  }
}

export function removeNames(named: Named): void {
  for (const {path, target} of linksOf(named)) if (linkTarget(path) === target) rmSync(path, {force: true});
  for (const path of directoriesOf(named)) removeIfEmpty(path);
}

/** As `removeNames`, by whoever tears down. */
export function removeNamesSteps(named: Named): Step[] {
  const stage = 'forget its names';
  return [
    ...linksOf(named).map(
      ({path, target}): Step => ({op: 'unlink', stage, at: HOST, s1: path, s2: target, record: true}),
    ),
    ...directoriesOf(named).map(
      (path): Step => ({op: 'rmdir', stage, at: HOST, s1: path, flags: STEP_FLAGS.optional, record: true}),
    ),
  ];
}

/** Removes the names of addresses that nobody holds any more. @param holderOf an address */
export function sweepNames(directory: string, holderOf: (address: string) => string | undefined): void {
  const names = join(directory, 'names');
  for (const name of entriesOf(names)) {
    for (const address of entriesOf(join(names, name))) {
      const path = join(names, name, address);
      if (linkTarget(path) !== holderOf(address)) rmSync(path, {force: true});
    }
    removeIfEmpty(join(names, name));
  }
  const pointers = join(directory, 'pointers');
  for (const address of entriesOf(pointers))
    if (holderOf(address) === undefined) rmSync(join(pointers, address), {force: true});
}

function linksOf({directory, names, pointer, addresses}: Named) {
  return addresses.flatMap(({address, holder}) => [
    ...names.map(name => ({path: join(directory, 'names', name, address), target: holder})),
    ...(names.length === 0 ? [] : [{path: join(directory, 'pointers', address), target: pointer}]),
  ]);
}

function directoriesOf({directory, names}: Named): string[] {
  return names.map(name => join(directory, 'names', name));
}

/** Somebody may remove the directory in between: it was empty. */
function link(directory: string, name: string, target: string): void {
  const path = join(directory, name);
  for (;;) {
    makeReadable(dirname(directory));
    makeReadable(directory);
    try {
      symlinkSync(target, path);
      return;
    } catch (error) {
      const {code} = error as NodeJS.ErrnoException;
      if (code === 'EEXIST') {
        if (linkTarget(path) === target) return;
        rmSync(path, {force: true}); // of somebody who died: the address is ours
      } else if (code !== 'ENOENT') throw error;
    }
  }
}

/** For everybody, whatever the caller's umask. */
function makeReadable(directory: string): void {
  try {
    mkdirSync(directory);
    chmodSync(directory, 0o755);
  } catch (error) {
    if (!['EEXIST', 'ENOENT'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  }
}

function removeIfEmpty(directory: string): void {
  try {
    rmdirSync(directory);
  } catch (error) {
    if (!['ENOTEMPTY', 'ENOENT'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  }
}

function entriesOf(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}
