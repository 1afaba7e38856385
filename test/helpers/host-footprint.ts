/**
 * What a test process has on the host: compared before and after, it shows what was left behind. Other programs may use
 * Coracle at the same time; what is theirs is left out.
 */
import {type Dirent, readdirSync, readFileSync, readlinkSync} from 'node:fs';
import {join} from 'node:path';
import {setTimeout as sleep} from 'node:timers/promises';
import {isDeepStrictEqual} from 'node:util';
import type {ExecutionContext} from 'ava';

export interface Footprint {
  /** Processes below this one, by name; a launcher has as many spawners as it needed at once, here they count as one. */
  readonly processes: readonly string[];
  /** Descriptors of this process and of the launcher's, by what they are. */
  readonly descriptors: Readonly<Record<string, number>>;
  /** Network namespaces of this process and those below it. */
  readonly networkNamespaces: number;
  /** Mount points of the host below the folder. */
  readonly mounts: readonly string[];
  /** Files below the folder but for images, layers and blobs. */
  readonly files: readonly string[];
  /** Of Coracle's cgroups those in which nothing runs, by hierarchy. */
  readonly emptyCgroups: readonly string[];
}

/** @param folder where the store and the run-time files of the test are */
export function hostFootprint(folder: string): Footprint {
  const below = processesBelow(process.pid);
  const own = [process.pid, ...below.filter(pid => nameOf(pid).startsWith('coracle-'))];
  return {
    processes: [...new Set(below.map(nameOf).filter(name => !IGNORED.has(name)))].sort(),
    descriptors: countDescriptors(own),
    networkNamespaces: new Set([process.pid, ...below].map(pid => link(`/proc/${pid}/ns/net`))).size,
    mounts: mountPoints().filter(path => path.startsWith(folder)),
    files: filesBelow(folder),
    emptyCgroups: cgroupDirectories().filter(isEmptyCgroup),
  };
}

/** Fails unless the footprint is, within ten seconds, what it was before: the janitor works after exits were reported. */
export async function assertNothingLeft(
  t: ExecutionContext,
  folder: string,
  before: Footprint,
): Promise<void> {
  let left = leftOver(before, hostFootprint(folder));
  for (let waited = 0; waited < 10_000 && !isDeepStrictEqual(left, NOTHING); waited += 50) {
    await sleep(50);
    const now = leftOver(before, hostFootprint(folder));
    // A container of somebody else's is empty for a moment, one that was left behind in every look.
    left = {...now, emptyCgroups: now.emptyCgroups.filter(path => left.emptyCgroups.includes(path))};
  }
  t.deepEqual(left, NOTHING);
}

interface LeftOver {
  readonly processes: readonly string[];
  readonly descriptors: Readonly<Record<string, number>>;
  readonly networkNamespaces: number;
  readonly mounts: readonly string[];
  readonly files: readonly string[];
  readonly emptyCgroups: readonly string[];
}

const NOTHING: LeftOver = {
  processes: [],
  descriptors: {},
  networkNamespaces: 0,
  mounts: [],
  files: [],
  emptyCgroups: [],
};

function leftOver(before: Footprint, after: Footprint): LeftOver {
  const more = (key: 'processes' | 'mounts' | 'files' | 'emptyCgroups') =>
    after[key].filter(each => !before[key].includes(each));
  const descriptors = Object.entries(after.descriptors)
    .map(([kind, count]) => [kind, count - (before.descriptors[kind] ?? 0)] as const)
    .filter(([, count]) => count > 0);
  return {
    processes: more('processes'),
    descriptors: Object.fromEntries(descriptors),
    networkNamespaces: Math.max(0, after.networkNamespaces - before.networkNamespaces),
    mounts: more('mounts'),
    files: more('files'),
    emptyCgroups: more('emptyCgroups'),
  };
}

/** esbuild compiles the tests' TypeScript. */
const IGNORED = new Set(['esbuild']);

/** The dead that nobody has asked about yet do not count: Node reaps them when it comes to it. */
export function processesBelow(ancestor: number): number[] {
  const parents = new Map<number, number>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const [, state, parent] = /\) (\S) (\d+)/.exec(text(`/proc/${name}/stat`)) ?? [];
    if (parent !== undefined && state !== 'Z') parents.set(Number(name), Number(parent));
  }
  const below: number[] = [];
  for (const pid of parents.keys()) {
    let parent = parents.get(pid);
    while (parent !== undefined && parent !== ancestor) parent = parents.get(parent);
    if (parent === ancestor) below.push(pid);
  }
  return below;
}

/** A zombie does not run any more. */
export function isRunning(pid: number): boolean {
  return /\) [^ZX] /.test(text(`/proc/${pid}/stat`));
}

export function childrenOf(pid: number): number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').split(' ').filter(Boolean).map(Number);
  } catch {
    return []; // gone
  }
}

export function nameOf(pid: number): string {
  return text(`/proc/${pid}/comm`).trimEnd();
}

/** The supervisor and the janitor have a fixed set; spawners are counted once, since there may be more of them later. */
function countDescriptors(pids: readonly number[]): Record<string, number> {
  const counts: Record<string, number> = {};
  const spawners = pids.filter(pid => nameOf(pid) === 'coracle-spawn');
  for (const pid of pids) {
    const name = nameOf(pid);
    const kinds: Record<string, number> = {};
    for (const fd of list(`/proc/${pid}/fd`)) {
      const kind = link(`/proc/${pid}/fd/${fd}`).replace(/\d+/g, 'N');
      if (kind === '' || ignoredDescriptor(kind)) continue;
      kinds[kind] = (kinds[kind] ?? 0) + 1;
    }
    // The supervisor holds a pidfd of each spawner: how many there are does not matter.
    if (name === 'coracle-super') kinds[PIDFD] = (kinds[PIDFD] ?? 0) - spawners.length;
    for (const [kind, count] of Object.entries(kinds)) {
      const key = `${pid === process.pid ? 'node' : name}: ${kind}`;
      counts[key] = Math.max(counts[key] ?? 0, count);
    }
  }
  return counts;
}

/** What reads a directory of /proc has it open while it looks. */
function ignoredDescriptor(kind: string): boolean {
  return kind.startsWith('/proc/') && kind.endsWith('/fd');
}

const PIDFD = 'anon_inode:[pidfd]';

function mountPoints(): string[] {
  return text('/proc/self/mountinfo')
    .split('\n')
    .map(line => line.split(' ')[4] ?? '');
}

/** Not by recursive readdir: that fails when the janitor removes a directory meanwhile. Symlinks lead elsewhere. */
function filesBelow(folder: string, prefix = ''): string[] {
  return entries(join(folder, prefix)).flatMap(entry => {
    const path = join(prefix, entry.name);
    if (JOURNAL.test(path) || LOCK.test(path)) return [];
    const isLookedInto = entry.isDirectory() && !CONTENTS.test(path);
    return isLookedInto ? [path, ...filesBelow(folder, path)] : [path];
  });
}

/** What happened is kept until the next boot, whatever is gone by then. */
const JOURNAL = /^run\/[^/]+\/events$/;
/** The file of a lock is made once and stays: whoever removed it could remove it under somebody who waits for it. */
const LOCK = /^run\/[^/]+\/rename\.lock$/;
const CONTENTS = /^root\/(layers|blobs|images|host-images|volumes\/[^/]*\/_data)$/;

const CGROUPS = '/sys/fs/cgroup';

/** On cgroup v1 and hybrid hosts one tree for each controller, on v2 one. */
export function cgroupDirectories(): string[] {
  const parents = ['', ...list(CGROUPS).map(name => `/${name}`)].map(name => `${CGROUPS}${name}/coracle`);
  return parents.flatMap(parent =>
    list(parent)
      .filter(name => /^[a-f0-9]{64}$/.test(name))
      .map(name => `${parent}/${name}`),
  );
}

function isEmptyCgroup(directory: string): boolean {
  return text(`${directory}/cgroup.procs`) === '';
}

function list(path: string): string[] {
  return entries(path).map(({name}) => name);
}

function entries(path: string): Dirent[] {
  try {
    return readdirSync(path, {withFileTypes: true});
  } catch {
    return [];
  }
}

function link(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}

function text(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}
