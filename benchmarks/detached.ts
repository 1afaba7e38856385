/**
 * What a container costs that lives on its own: the memory of whatever watches over it while it does nothing, and how much
 * of its output a log takes.
 *
 *     node --import=tsx benchmarks/detached.ts [--rounds 5] [--warmups 1]
 *
 * Memory is proportional set size (proc_pid_smaps(5)) of the process that is the parent of the container's first: what
 * several share counts in parts. For Docker that is containerd-shim; dockerd and containerd, which all containers have in
 * common, are left out, for podman as well as for Coracle there is nothing else.
 *
 * For the log each contender in turn runs a container that writes 128 MB in lines of 100 bytes to stdout, as fast as it
 * can, into a log on the disk (json-file; podman has k8s-file). Every line is counted afterwards.
 */
import {createReadStream, readFileSync, rmSync} from 'node:fs';
import {join} from 'node:path';
import {createInterface} from 'node:readline';
import {setTimeout as sleep} from 'node:timers/promises';
import {Container} from './built-sdk.js';
import {DockerDaemon} from './docker-daemon.js';
import {type Contender, interleave, median} from './interleave.js';
import {OPTIONS} from './isolation.js';
import {numberOptions} from './options.js';
import {POURED} from './payload.js';
import {isInstalled, LIMITS, OpenedThings, PACKAGES, preparePodman} from './peers.js';
import {hostFacts, printHost, printTable, writeResult} from './report.js';
import {SpawnTimer} from './spawn-timer.js';
import {IMAGE, Workplace} from './workplace.js';

/** Whoever has finished its start has given back by then what it needed for that. */
const SETTLE_MS = 3000;
const SAMPLE_MS = 10;

const {rounds, warmups} = numberOptions({rounds: 5, warmups: 1});
await using place = await Workplace.open();
await using opened = new OpenedThings();
const timer = new SpawnTimer({cgroups: 'v1'});
opened.use(timer);
const {runtime} = place;

/** One way to keep containers. */
interface Keeper {
  readonly name: string;
  /** Its log has pieces of lines, each with a P, the last with an F. */
  readonly marksPieces?: boolean;
  /** Starts one that waits. @returns the pid of its first process, and how it is removed */
  idle(): Promise<{pid: number; end(): Promise<unknown>}>;
  /** Runs one that writes. @returns how long that took, and where the log is */
  pour(): Promise<{ms: number; log: string; watcher?: Watched; end(): Promise<unknown>}>;
}

interface Watched {
  readonly cpuMs: number;
  readonly peakKb: number;
}

const keepers: Keeper[] = [coracle()];
const missing: string[] = [];
if (isInstalled('docker')) keepers.push(docker(opened.use(await DockerDaemon.start(place.folder))));
else missing.push(`docker is missing: Debian package ${PACKAGES.docker}`);
if (isInstalled('podman')) keepers.push(podman());
else missing.push(`podman is missing: Debian package ${PACKAGES.podman}`);

const host = hostFacts(place.root);
printHost(host);
for (const sentence of missing) console.log(sentence);

const memory: Record<string, {pssKb: number; process: string}> = {};
for (const keeper of keepers) {
  const {pid, end} = await keeper.idle();
  await sleep(SETTLE_MS);
  const parent = parentOf(pid);
  memory[keeper.name] = {pssKb: pssOf(parent), process: readFileSync(`/proc/${parent}/comm`, 'utf8').trim()};
  await end();
}
console.log('\nOne idle container: what watches over it, proportional set size');
printTable(
  ['', 'process', 'KB'],
  Object.entries(memory).map(([name, {process, pssKb}]) => [name, process, pssKb]),
);

const watched: Watched[] = [];
const samples = await interleave(keepers.map(pouring), {rounds, warmups, pauseMs: 500});
const megabytes = POURED.bytes / 1e6;
console.log(
  `\n${megabytes} MB of output in lines of 100 bytes, start to end of the container, ${rounds} rounds; none lost`,
);
printTable(
  ['', 'median ms', 'MB/s'],
  Object.entries(samples).map(([name, {pourMs}]) => {
    const ms = median(pourMs!);
    return [name, ms, (megabytes / ms) * 1000];
  }),
);
const cpuMs = median(watched.map(each => each.cpuMs));
const peakKb = Math.max(...watched.map(each => each.peakKb));
console.log(
  `\nCoracle's monitor: ${(cpuMs / megabytes) * 100} ms of CPU for 100 MB, at most ${peakKb} KB resident`,
);
writeResult('detached', {host, rounds, missing, memory, samples, monitor: {cpuMs, peakKb}});

function pouring(keeper: Keeper): Contender {
  return {
    name: keeper.name,
    once: async () => {
      const {ms, log, watcher, end} = await keeper.pour();
      const lines = await countLines(log, keeper.marksPieces ?? false);
      await end();
      if (lines !== POURED.lines)
        throw new Error(`${keeper.name}: ${lines} lines of ${POURED.lines} in ${log}`);
      if (watcher !== undefined) watched.push(watcher);
      return {pourMs: ms};
    },
  };
}

function coracle(): Keeper {
  return {
    name: 'coracle',
    idle: async () => {
      const container = await Container.runDetached(IMAGE, {...OPTIONS, command: ['/wait']}, {runtime});
      return {pid: (await container.inspect()).State.Pid, end: () => container.remove({force: true})};
    },
    pour: async () => {
      const begin = performance.now();
      const container = await Container.runDetached(IMAGE, {...OPTIONS, command: ['/pour']}, {runtime});
      const monitor = Number.parseInt(
        readFileSync(join(place.root, 'containers', container.id, 'watcher'), 'utf8'),
        10,
      );
      const watcher = {cpuMs: 0, peakKb: 0};
      const ended = container.wait();
      for (let running = true; running; ) {
        const next = await Promise.race([ended, sleep(SAMPLE_MS, 'running' as const)]);
        running = next === 'running';
        if (running) Object.assign(watcher, lookAt(monitor) ?? {});
      }
      const ms = performance.now() - begin;
      const {LogPath} = await container.inspect();
      return {ms, log: LogPath, watcher, end: () => container.remove()};
    },
  };
}

function docker(daemon: DockerDaemon): Keeper {
  daemon.docker('import', place.payload.tar, IMAGE);
  const run = ['run', '--detach', '--network', 'none', ...LIMITS, IMAGE];
  const inspect = (id: string, format: string) => daemon.docker('inspect', '--format', format, id).trim();
  const remove = async (id: string) => daemon.docker('rm', '--force', id);
  return {
    name: 'docker',
    idle: async () => {
      const id = daemon.docker(...run, '/wait').trim();
      return {pid: Number(inspect(id, '{{.State.Pid}}')), end: () => remove(id)};
    },
    pour: async () => {
      const begin = performance.now();
      const id = daemon.docker(...run, '/pour').trim();
      await timer.once({command: 'docker', args: ['wait', id], env: daemon.env});
      const ms = performance.now() - begin;
      return {ms, log: inspect(id, '{{.LogPath}}'), end: () => remove(id)};
    },
  };
}

function podman(): Keeper {
  const {env, store} = preparePodman(place.folder, place.payload);
  const name = 'benchmark-detached';
  const log = join(place.folder, 'podman.log');
  const command = (...args: string[]) => timer.once({command: 'podman', args: [...store, ...args], env});
  const run = (program: string) =>
    command(
      ...['run', '--detach', '--name', name, '--network', 'none', '--log-driver', 'k8s-file'],
      ...[
        '--log-opt',
        `path=${log}`,
        '--pidfile',
        join(place.folder, 'podman.pid'),
        ...LIMITS,
        IMAGE,
        program,
      ],
    );
  const end = async () => {
    await command('rm', '--force', '--time', '0', name);
    rmSync(log, {force: true}); // it is ours, since we named it
  };
  return {
    name: 'podman',
    marksPieces: true,
    idle: async () => {
      await run('/wait');
      return {pid: Number(readFileSync(join(place.folder, 'podman.pid'), 'utf8')), end};
    },
    pour: async () => {
      const begin = performance.now();
      await run('/pour');
      await command('wait', name);
      return {ms: performance.now() - begin, log, end};
    },
  };
}

/** Undefined when it is gone. Times of proc_pid_stat(5) are in hundredths of a second. */
function lookAt(pid: number): Watched | undefined {
  try {
    const [, fields = ''] = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ');
    const [user, system] = fields.split(' ').slice(11, 13).map(Number) as [number, number];
    const peak = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1];
    return {cpuMs: (user + system) * 10, peakKb: Number(peak ?? 0)};
  } catch {
    return undefined;
  }
}

function parentOf(pid: number): number {
  return Number(/^PPid:\t(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]);
}

function pssOf(pid: number): number {
  return Number(/^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1'))?.[1]);
}

async function countLines(path: string, marksPieces: boolean): Promise<number> {
  let lines = 0;
  if (marksPieces) {
    for await (const line of createInterface(createReadStream(path)))
      if (line.includes(' stdout F ')) lines++;
    return lines;
  }
  for await (const bytes of createReadStream(path, {highWaterMark: 1 << 20}) as AsyncIterable<Buffer>)
    for (let at = bytes.indexOf(10); at !== -1; at = bytes.indexOf(10, at + 1)) lines++;
  return lines;
}
