/**
 * What a network costs: a start on the bridge beside one without, a published port, and what goes through that.
 *
 *     node --import=tsx benchmarks/network.ts [--rounds 100] [--warmups 10] [--transfers 15]
 *
 * One interleaved run in a network namespace of its own; dockerd has another one, and leads ports by address translation
 * alone (`--userland-proxy=false`). Starts of Coracle: from `Container.run` until exec; `docker run` whole, since dockerd
 * tells nothing else. Ports are asked from their own host, at an address of its own and at 127.0.0.1.
 */
import {execFileSync, spawnSync} from 'node:child_process';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {Container, Image} from './built-sdk.js';
import {coracleOnce} from './coracle.js';
import {DockerDaemon} from './docker-daemon.js';
import {type Contender, interleave, median} from './interleave.js';
import {OPTIONS} from './isolation.js';
import {numberOptions} from './options.js';
import {isInstalled, LIMITS, OpenedThings, PACKAGES} from './peers.js';
import {hostFacts, printHost, printTable, summarizeAll, writeResult} from './report.js';
import {SpawnTimer} from './spawn-timer.js';
import {IMAGE, Workplace} from './workplace.js';

const OWN_NETWORK = 'CORACLE_BENCHMARK_NETWORK';
if (process.env[OWN_NETWORK] === undefined) {
  const words = ['--net', process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  const env = {...process.env, [OWN_NETWORK]: 'own'};
  process.exit(spawnSync('unshare', words, {stdio: 'inherit', env}).status ?? 1);
}

/** An address of the host's that is not loopback. */
const ADDRESS = '10.99.0.1';
const ADDRESSES = [ADDRESS, '127.0.0.1'];
const PORT = 8080;
const MEGABYTES = 200;
const ROUND_TRIPS = 2000;
const PAUSE_MS = 20;

const {rounds, warmups, transfers} = numberOptions({rounds: 100, warmups: 10, transfers: 15});
await using place = await Workplace.open();
const peer = join(place.folder, 'network-peer');
const source = fileURLToPath(new URL('network-peer.c', import.meta.url));
execFileSync('gcc', ['-O2', '-static', '-s', '-o', peer, source]);
giveAddress('');
const host = hostFacts(place.root);
printHost(host);
await using opened = new OpenedThings();
const daemon = isInstalled('docker')
  ? opened.use(await DockerDaemon.start(place.folder, ['--userland-proxy=false']))
  : undefined;
if (daemon === undefined) console.log(`docker is missing: Debian package ${PACKAGES.docker}`);

const starts = await interleave(await starters(), {rounds, warmups, pauseMs: PAUSE_MS});
const summary = summarizeAll(starts);
console.log(`\nStart, milliseconds, ${rounds} rounds`);
printTable(
  ['', 'min', 'median', 'p95', '× without a network'],
  Object.entries(summary).map(([name, {startMs}]) => {
    const {minMs, medianMs, p95Ms} = startMs!;
    const base =
      summary[
        name.startsWith('docker') ? 'docker run' : name.includes('on demand') ? 'none, on demand' : 'none'
      ];
    return [name, minMs, medianMs, p95Ms, medianMs / base!['startMs']!.medianMs];
  }),
);

const flows = await interleave(await servers(), {rounds: transfers, warmups: 2, pauseMs: PAUSE_MS});
console.log(
  `\nThrough a published port, medians of ${transfers} rounds: MB/s, and microseconds for a byte and its echo`,
);
printTable(
  ['', ...ADDRESSES.flatMap(address => [`${address} MB/s`, 'µs'])],
  Object.entries(flows).map(([name, measures]) => [name, ...Object.values(measures).map(median)]),
);
writeResult('network', {host, rounds, transfers, summary, samples: {starts, flows}});

async function starters(): Promise<Contender[]> {
  const [waiting, waitingBridge] = [await place.another(1), await place.another(1)];
  const onDemand = await place.another(0);
  const bridge = {...OPTIONS, network: 'bridge'} as const;
  const start = (
    name: string,
    runtime: typeof onDemand,
    options: Parameters<typeof coracleOnce>[1],
  ): Contender => ({
    name,
    once: async () => ({startMs: (await coracleOnce(runtime, options)).startMs}),
  });
  const list = [
    start('none', waiting, OPTIONS),
    start('bridge', waitingBridge, bridge),
    start('none, on demand', onDemand, OPTIONS),
    start('bridge, on demand', onDemand, bridge),
    start('bridge and a port, on demand', onDemand, {
      ...bridge,
      ports: [{containerPort: 80, hostPort: PORT}],
    }),
  ];
  if (daemon === undefined) return list;
  daemon.docker('import', place.payload.tar, IMAGE);
  const timer = opened.use(new SpawnTimer({cgroups: 'v1'}));
  const run = (name: string, ...words: string[]): Contender => ({
    name,
    once: async () => {
      const args = ['run', '--rm', ...LIMITS, ...words, IMAGE, '/true'];
      return {startMs: await timer.once({command: 'docker', args, env: daemon.env})};
    },
  });
  return [
    ...list,
    run('docker run', '--network', 'none'),
    run('docker run, bridge', '--network', 'bridge'),
    run('docker run, bridge and a port', '--network', 'bridge', '--publish', `${PORT}:80`),
  ];
}

async function servers(): Promise<Contender[]> {
  const image = 'benchmark-network';
  await Image.fromHost({name: image, binaries: [peer]}, {runtime: place.runtime});
  const command = [peer, 'serve', '80'];
  const ports = [{containerPort: 80, hostPort: PORT}];
  opened.use(await Container.run(image, {command, ports, stdin: 'ignore'}, {runtime: place.runtime}));
  const list: Contender[] = [flow('coracle', (...words) => execFileSync(peer, words, {encoding: 'utf8'}))];
  if (daemon === undefined) return list;
  const tar = join(place.folder, 'peer.tar');
  execFileSync('tar', ['-C', place.folder, '-cf', tar, 'network-peer']);
  daemon.docker('import', tar, image);
  daemon.docker('run', '--detach', '--publish', `${PORT}:80`, image, '/network-peer', 'serve', '80');
  const inside = ['--net', '--target', String(daemon.pid)];
  giveAddress(String(daemon.pid));
  return [
    ...list,
    flow('docker', (...words) => execFileSync('nsenter', [...inside, peer, ...words], {encoding: 'utf8'})),
  ];
}

function flow(name: string, ask: (...words: string[]) => string): Contender {
  return {
    name,
    once: async () =>
      Object.fromEntries(
        ADDRESSES.flatMap(address => [
          [`${address} throughput`, Number(ask('throughput', address, String(PORT), String(MEGABYTES)))],
          [`${address} latency`, Number(ask('latency', address, String(PORT), String(ROUND_TRIPS)))],
        ]),
      ),
  };
}

/** @param pid of a process in the namespace; '' is ours */
function giveAddress(pid: string): void {
  const ip = (...words: string[]) =>
    pid === ''
      ? execFileSync('ip', words)
      : execFileSync('nsenter', ['--net', '--target', pid, 'ip', ...words]);
  ip('link', 'set', 'lo', 'up');
  ip('address', 'add', `${ADDRESS}/32`, 'dev', 'lo');
}
