/**
 * A store with everything that works on it, in a corner of the host where all of it can be found: command lines, programs,
 * launchers and monitors have a UTS namespace of their own, whatever becomes of their parents, and all containers a parent
 * cgroup of their own. What is found there and should not be is told in words.
 */
import {
  type ChildProcess,
  type ChildProcessWithoutNullStreams,
  execFileSync,
  spawn,
} from 'node:child_process';
import {once} from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import {tmpdir} from 'node:os';
import {basename, join} from 'node:path';
import {text} from 'node:stream/consumers';
import {setTimeout as sleep} from 'node:timers/promises';
import {fileURLToPath} from 'node:url';
import {isRunning, nameOf} from './host-footprint.js';

const project = fileURLToPath(new URL('../../', import.meta.url));

export interface Finished {
  readonly stdout: string;
  readonly stderr: string;
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export type Started = ChildProcessWithoutNullStreams;

/** A container as its records tell of it. */
export interface Recorded {
  readonly id: string;
  readonly name: string;
  readonly directory: string;
  /** Whoever sees to its run: its monitor. */
  readonly watcher: number | undefined;
  /** Its first process. */
  readonly init: number | undefined;
}

export class World {
  readonly folder = mkdtempSync(join(tmpdir(), 'coracle-world-'));
  readonly root = join(this.folder, 'root');
  /** What containers may have mounted, to leave marks in. */
  readonly shared = join(this.folder, 'shared');
  readonly environment: NodeJS.ProcessEnv;
  /** Of the containers, below each hierarchy. */
  readonly cgroupParent = `coracle-test/${basename(this.folder)}`;
  readonly #holder: ChildProcess;
  #namespace = '';

  private constructor() {
    mkdirSync(this.shared);
    const configuration = join(this.folder, 'config.json');
    writeFileSync(configuration, JSON.stringify({'cgroup-parent': this.cgroupParent}));
    this.environment = {
      ...process.env,
      CORACLE_ROOT: this.root,
      CORACLE_RUN: join(this.folder, 'run'),
      CORACLE_CONFIG: configuration,
    };
    this.#holder = spawn('unshare', ['--uts', 'sleep', 'infinity'], {stdio: 'ignore'});
  }

  static async make(): Promise<World> {
    const world = new World();
    await until('the namespace is made', () => nameOf(world.#holder.pid!) === 'sleep');
    world.#namespace = namespaceOf(world.#holder.pid!);
    return world;
  }

  /** Any program of Node's, in the corner. */
  start(file: string, ...args: readonly string[]): Started {
    const command = [`--uts=/proc/${this.#holder.pid}/ns/uts`, '--', process.execPath, file, ...args];
    return spawn('nsenter', command, {cwd: project, env: this.environment, stdio: 'pipe'});
  }

  /** The built command line. */
  startCli(...args: readonly string[]): Started {
    return this.start(join(project, 'bin/coracle.cjs'), ...args);
  }

  cli(...args: readonly string[]): Promise<Finished> {
    const child = this.startCli(...args);
    child.stdin.end();
    return finished(child);
  }

  /** Every process that is not a container's own: ours, and those of a container that is being made. */
  processes(): number[] {
    return allProcesses().filter(pid => pid !== this.#holder.pid && namespaceOf(pid) === this.#namespace);
  }

  /** Processes in containers, with the ids of these. */
  inhabitants(): {readonly pid: number; readonly id: string}[] {
    return allProcesses().flatMap(pid => {
      const [, id] =
        new RegExp(`${this.cgroupParent}/([a-f0-9]{64})`).exec(read(`/proc/${pid}/cgroup`)) ?? [];
      return id === undefined ? [] : [{pid, id}];
    });
  }

  containers(): Recorded[] {
    const place = join(this.root, 'containers');
    return list(place).flatMap(id => {
      const directory = join(place, id);
      const config = read(join(directory, 'config.json'));
      if (config === '') return [];
      const {name} = JSON.parse(config) as {name: string};
      return [{id, name, directory, watcher: pidIn(directory, 'watcher'), init: pidIn(directory, 'pid')}];
    });
  }

  find(name: string): Recorded | undefined {
    return this.containers().find(container => container.name === name);
  }

  /** Empty once everything is as it should be when no program works on the store; else, after a minute, what is not. */
  async problems(): Promise<string[]> {
    let found = this.#look();
    for (let waited = 0; found.length > 0 && waited < 60_000; waited += 50) {
      await sleep(50);
      found = this.#look();
    }
    return found;
  }

  #look(): string[] {
    const containers = this.containers();
    const monitored = containers.filter(({watcher}) => watcher !== undefined && isRunning(watcher));
    return [
      ...this.#strayProcesses(monitored),
      ...containers.flatMap(impossibleFiles),
      ...this.#strayFiles(containers),
      ...this.#strayCgroups(monitored, containers),
      ...mountPoints()
        .filter(path => path.startsWith(this.folder) && path !== this.root)
        .map(path => `a mount at ${path}`),
    ];
  }

  #strayProcesses(monitored: readonly Recorded[]): string[] {
    const monitors = new Set(monitored.map(({watcher}) => watcher));
    const isMonitors = (pid: number) => monitors.has(pid) || monitors.has(parentOf(pid));
    const ids = new Set(monitored.map(({id}) => id));
    return [
      ...this.processes()
        .filter(pid => !isMonitors(pid))
        .map(pid => `the process ${describe(pid)}`),
      ...this.inhabitants()
        .filter(({id, pid}) => !ids.has(id) && !isMonitors(pid))
        .map(({id, pid}) => `a process of ${id.slice(0, 12)}, which has no monitor: ${describe(pid)}`),
    ];
  }

  #strayFiles(containers: readonly Recorded[]): string[] {
    const {root} = this;
    const live = join(root, 'live');
    const ids = new Set(containers.map(({id}) => id));
    const names = new Map(containers.map(({id, name}) => [name, id]));
    const held = new Map(list(join(root, 'names')).map(name => [name, link(join(root, 'names', name))]));
    return [
      ...list(join(root, 'containers'))
        .filter(id => !ids.has(id))
        .map(id => `containers/${id} without a record: ${list(join(root, 'containers', id))}`),
      ...[...held].filter(([name, id]) => names.get(name) !== id).map(([name]) => `the stray name ${name}`),
      ...[...names].filter(([name, id]) => held.get(name) !== id).map(([name]) => `${name} without its name`),
      ...['work', 'transient', 'live/containers', 'live/names'].flatMap(place =>
        list(join(root, place)).map(name => `${place}/${name}: ${list(join(root, place, name))}`),
      ),
      ...[root, live, ...['images', 'volumes', 'layers'].map(place => join(root, place))].flatMap(place =>
        list(place)
          .filter(isTemporary)
          .map(name => `${place}/${name}`),
      ),
    ];
  }

  #strayCgroups(monitored: readonly Recorded[], containers: readonly Recorded[]): string[] {
    const names = new Map(containers.map(({id, name}) => [id, name]));
    const ids = new Set(monitored.map(({id}) => id));
    return this.#cgroups().flatMap(parent =>
      list(parent)
        .filter(name => /^[a-f0-9]{64}$/.test(name) && !ids.has(name))
        .map(name => `the cgroup ${parent}/${name} of ${names.get(name) ?? 'nobody'}`),
    );
  }

  #cgroups(): string[] {
    const base = '/sys/fs/cgroup';
    return [base, ...list(base).map(name => join(base, name))].map(path => join(path, this.cgroupParent));
  }

  /** All that works and all that runs. */
  async endProcesses(): Promise<void> {
    for (let left = this.#everybody(); left.length > 0; left = this.#everybody()) {
      for (const pid of left) kill(pid);
      for (const parent of this.#cgroups()) for (const name of list(parent)) thaw(join(parent, name));
      await sleep(20);
    }
    for (const parent of this.#cgroups())
      for (const name of list(parent)) removeDirectory(join(parent, name));
  }

  /** Ends and removes whatever there is. */
  async end(): Promise<void> {
    await this.endProcesses();
    this.#holder.kill('SIGKILL');
    for (const parent of this.#cgroups()) removeDirectory(parent);
    if (mountPoints().includes(this.root)) execFileSync('umount', [this.root]);
    rmSync(this.folder, {recursive: true, force: true});
  }

  #everybody(): number[] {
    return [...this.processes(), ...this.inhabitants().map(({pid}) => pid)];
  }
}

export async function finished(child: Started): Promise<Finished> {
  const [stdout, stderr, [code, signal]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close'),
  ]);
  return {stdout, stderr, code, signal};
}

/** With its supervisor dies the rest of a launcher, with a monitor its container: it may be gone already. */
export function kill(pid: number, signal: NodeJS.Signals = 'SIGKILL'): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Emulated machines are slow. */
const PATIENCE_MS = 120_000;

export async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let waited = 0; !(await condition()); waited += 10) {
    if (waited > PATIENCE_MS) throw new Error(`not within ${PATIENCE_MS} ms: ${what}`);
    await sleep(10);
  }
}

/** The same numbers for the same seed: mulberry32. */
export class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** Below 1. */
  roll(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let value = this.#state;
    value = Math.imul(value ^ (value >>> 15), value | 1);
    value ^= value + Math.imul(value ^ (value >>> 7), value | 61);
    return ((value ^ (value >>> 14)) >>> 0) / 2 ** 32;
  }

  below(bound: number): number {
    return Math.floor(this.roll() * bound);
  }

  oneOf<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)]!;
  }
}

/** Of a run that has ended they are gone once somebody has opened the store. */
const LEFT = ['watcher', 'pid', 'control', 'exec', 'leftover', 'again'];

/** Of what a live monitor has no use for, nothing is left; of what it has, all is there. */
function impossibleFiles({name, directory, watcher}: Recorded): string[] {
  const files = list(directory);
  const isWatched = watcher !== undefined && isRunning(watcher);
  const wrong = files.filter(file => {
    if (file === 'exit.json~' || file === 'state.json~') return !isWatched;
    return isTemporary(file) || (!isWatched && LEFT.includes(file));
  });
  const missing = ['config.json', 'upper', 'work'].filter(file => !existsSync(join(directory, file)));
  return [...wrong.map(file => `${name} has ${file}`), ...missing.map(file => `${name} lacks ${file}`)];
}

function isTemporary(name: string): boolean {
  return /(~|\.tmp)$/.test(name);
}

function allProcesses(): number[] {
  return list('/proc')
    .filter(name => /^\d+$/.test(name))
    .map(Number)
    .filter(isRunning);
}

function namespaceOf(pid: number): string {
  return link(`/proc/${pid}/ns/uts`);
}

function parentOf(pid: number): number {
  return Number(/\) \S (\d+)/.exec(read(`/proc/${pid}/stat`))?.[1]);
}

function describe(pid: number): string {
  const command = read(`/proc/${pid}/cmdline`).replaceAll('\0', ' ').slice(0, 120);
  return `${pid} ${nameOf(pid)} (${command}), child of ${parentOf(pid)} ${nameOf(parentOf(pid))}`;
}

function pidIn(directory: string, file: string): number | undefined {
  const pid = Number.parseInt(read(join(directory, file)), 10);
  return Number.isNaN(pid) ? undefined : pid;
}

function mountPoints(): string[] {
  return read('/proc/self/mountinfo')
    .split('\n')
    .map(line => line.split(' ')[4] ?? '');
}

/** Who is paused does not die on cgroup v1. */
function thaw(cgroup: string): void {
  for (const [file, value] of [
    ['freezer.state', 'THAWED'],
    ['cgroup.freeze', '0'],
  ] as const) {
    const path = join(cgroup, file);
    if (existsSync(path)) writeFileSync(path, value);
  }
}

function removeDirectory(path: string): void {
  try {
    rmdirSync(path);
  } catch {
    // absent, or busy for a moment: it holds nothing
  }
}

function list(path: string): string[] {
  try {
    return readdirSync(path);
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

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
