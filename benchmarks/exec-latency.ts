/**
 * How long a command in a running container takes: from the request until it has been executed, and until it has ended.
 *
 *     node --import=tsx benchmarks/exec-latency.ts [--rounds 200] [--warmups 20]
 *
 * One interleaved run: each round runs every contender once, in random order. The command exits at once. Each joins a
 * container of its own kind with Docker's isolation, without network, that waits. `coracle, command line` and the peers are
 * programs, timed from spawn to exit in a Node of their own with a small heap; for the others the container is somebody
 * else's too: what they know of it is its record. Not measured: terminals, output.
 */
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import type {RunningContainer} from '../src/index.js';
import {Container, type OpenRuntime} from './built-sdk.js';
import {DockerDaemon} from './docker-daemon.js';
import {type Contender, interleave} from './interleave.js';
import {OPTIONS} from './isolation.js';
import {writeBundle} from './oci-bundle.js';
import {numberOptions} from './options.js';
import type {Payload} from './payload.js';
import {isInstalled, LIMITS, OpenedThings, PACKAGES, type PeerName, preparePodman} from './peers.js';
import {hostFacts, printHost, printTable, summarizeAll, writeResult} from './report.js';
import {type Command, SpawnTimer} from './spawn-timer.js';
import {IMAGE, Workplace} from './workplace.js';

const PEERS = ['crun', 'runc', 'podman', 'docker'] as const satisfies readonly PeerName[];
/** What removing a process from its cgroups still costs the kernel after its end is not its successor's affair. */
const PAUSE_MS = 10;
const NAME = 'benchmark-wait';
const RUN_WAIT = [
  'run',
  '--detach',
  '--name',
  NAME,
  '--network',
  'none',
  ...LIMITS,
  'benchmark-true',
  '/wait',
];

const {rounds, warmups} = numberOptions({rounds: 200, warmups: 20});
await using place = await Workplace.open();
await using container = await Container.run(
  IMAGE,
  {...OPTIONS, command: ['/wait']},
  {runtime: place.runtime},
);
const other = await place.another(0);
const timer = new SpawnTimer({cgroups: 'v1'});
await using opened = new OpenedThings();
opened.use(timer);
const contenders: Contender[] = [
  await coracle('coracle', place.runtime, container.id),
  await coracle('coracle, from another runtime', other, container.id),
  commandLine(place, container),
];
const missing: string[] = [];
for (const peer of PEERS) {
  if (isInstalled(peer)) contenders.push(await prepare(peer, place.folder, place.payload));
  else missing.push(`${peer} is missing: Debian package ${PACKAGES[peer]}`);
}
const host = hostFacts(place.root);
printHost(host);
for (const sentence of missing) console.log(sentence);
const samples = await interleave(contenders, {rounds, warmups, pauseMs: PAUSE_MS});
const summary = summarizeAll(samples);
const own = summary['coracle']!['lifeMs']!.medianMs;
console.log(`\nA command in a running container: request to exit, milliseconds, ${rounds} rounds`);
printTable(
  ['', 'min', 'median', 'p95', 'coracle in proportion'],
  Object.entries(summary).map(([name, {lifeMs}]) => [
    name,
    lifeMs!.minMs,
    lifeMs!.medianMs,
    lifeMs!.p95Ms,
    own / lifeMs!.medianMs,
  ]),
);
console.log('\nRequest to exec');
printTable(
  ['', 'min', 'median', 'p95'],
  Object.entries(summary).flatMap(([name, {startMs}]) =>
    startMs === undefined ? [] : [[name, startMs.minMs, startMs.medianMs, startMs.p95Ms]],
  ),
);
writeResult('exec-latency', {host, rounds, missing, summary, samples});

async function coracle(name: string, runtime: OpenRuntime, id: string): Promise<Contender> {
  const joined = await Container.get(id, {runtime});
  const once = async () => {
    const begin = performance.now();
    const command = await joined.exec(['/true'], {stdout: 'ignore', stderr: 'ignore'});
    const started = performance.now();
    const exit = await command.exit;
    const ended = performance.now();
    await command.settled;
    if (exit.kind !== 'code' || exit.code !== 0) throw new Error(`coracle: ${JSON.stringify(exit)}`);
    return {startMs: started - begin, lifeMs: ended - begin};
  };
  return {name, once};
}

function commandLine({root, run}: Workplace, {id}: RunningContainer): Contender {
  const program = fileURLToPath(new URL('../bin/coracle.cjs', import.meta.url));
  const env = {CORACLE_ROOT: root, CORACLE_RUN: run};
  return timed('coracle, command line', {
    command: process.execPath,
    args: [program, 'exec', id, '/true'],
    env,
  });
}

function timed(name: string, command: Command): Contender {
  return {name, once: async () => ({lifeMs: await timer.once(command)})};
}

/** Its container, which is removed at the end, and the command that joins it. */
async function prepare(peer: (typeof PEERS)[number], folder: string, payload: Payload): Promise<Contender> {
  switch (peer) {
    case 'crun':
    case 'runc': {
      const bundle = writeBundle(join(folder, `${peer}-exec`), payload, 'wait');
      const root = ['--root', join(folder, `${peer}-exec-state`)];
      await timer.once({command: peer, args: [...root, 'run', '--detach', '--bundle', bundle, NAME]});
      atEnd(() => timer.once({command: peer, args: [...root, 'delete', '--force', NAME]}));
      return timed(`${peer} exec`, {command: peer, args: [...root, 'exec', NAME, '/true']});
    }
    case 'docker': {
      const daemon = opened.use(await DockerDaemon.start(folder));
      daemon.docker('import', payload.tar, 'benchmark-true');
      daemon.docker(...RUN_WAIT);
      atEnd(async () => void daemon.docker('rm', '--force', NAME));
      return timed('docker exec', {command: 'docker', args: ['exec', NAME, '/true'], env: daemon.env});
    }
    case 'podman': {
      const {env, store} = preparePodman(folder, payload);
      await timer.once({command: 'podman', args: [...store, ...RUN_WAIT], env});
      atEnd(() =>
        timer.once({command: 'podman', args: [...store, 'rm', '--force', '--time', '0', NAME], env}),
      );
      return timed('podman exec', {command: 'podman', args: [...store, 'exec', NAME, '/true'], env});
    }
    default:
      return peer satisfies never;
  }
}

function atEnd(act: () => Promise<unknown>): void {
  opened.use({[Symbol.asyncDispose]: async () => void (await act())});
}
