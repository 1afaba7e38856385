/**
 * What a container's resolver goes by, beside the names of networks: a directory of the container's own with a directory
 * for each network that it is on, and in that a symlink for each name of its own for another container there. It reads
 * them at each query, so a container can be put on a network while it runs. See `native/names.c`.
 */
import {chmodSync, mkdirSync, renameSync, rmSync, symlinkSync} from 'node:fs';
import {join} from 'node:path';
import {HOST, STEP_FLAGS, type Step} from '../binding/index.js';

export interface OwnNetwork {
  readonly name: string;
  /** It does not lead out. */
  readonly internal: boolean;
  /** Containers there by what this one calls them, in lower case: their names. */
  readonly links: Readonly<Record<string, string>>;
}

const INTERNAL = '.internal';
const MODE = 0o755; // who reads it has no privileges

/** In place of what was there. */
export function ownNamesSteps(directory: string, networks: readonly OwnNetwork[]): Step[] {
  const stage = 'resolve names';
  const make = (path: string): Step => ({op: 'mkdir', stage, at: HOST, s1: path, x: MODE});
  return [
    {op: 'removeTree', stage, at: HOST, s1: directory, flags: STEP_FLAGS.optional},
    make(directory),
    ...networks.flatMap(network => [
      make(join(directory, network.name)),
      ...symlinksOf(network).map(
        ([name, target]): Step => ({
          op: 'symlink',
          stage,
          at: HOST,
          s1: join(directory, network.name, name),
          s2: target,
        }),
      ),
    ]),
  ];
}

/** Of a container that runs. What it was on that network before is forgotten. */
export function addOwnNetwork(directory: string, network: OwnNetwork): void {
  const made = join(directory, `.${network.name}`);
  rmSync(made, {recursive: true, force: true});
  mkdirSync(made);
  chmodSync(made, MODE);
  for (const [name, target] of symlinksOf(network)) symlinkSync(target, join(made, name));
  removeOwnNetwork(directory, network.name);
  renameSync(made, join(directory, network.name));
}

/** Again is fine. */
export function removeOwnNetwork(directory: string, name: string): void {
  rmSync(join(directory, name), {recursive: true, force: true});
}

function symlinksOf({internal, links}: OwnNetwork): [name: string, target: string][] {
  return [...(internal ? [[INTERNAL, '-'] as [string, string]] : []), ...Object.entries(links)];
}
