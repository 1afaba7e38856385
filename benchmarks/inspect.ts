/**
 * What a script waits for that asks one field of one container: `ts-inspect` on a saved document and on a container of the
 * store, as whole processes, beside `node -e 0`, `jq` and the other engines' `inspect`; and how many templates a program
 * renders in its own process.
 *
 *     node --import=tsx benchmarks/inspect.ts [--rounds 100] [--warmups 10] [--renders 10000]
 *
 * Goals: `--input` at most 1.25 times `node -e 0`; 10,000 renders of a typical template in at most 150 ms after it was compiled.
 */
import {spawnSync} from 'node:child_process';
import {writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {Container} from './built-sdk.js';
import {DockerDaemon} from './docker-daemon.js';
import {type Contender, interleave, median} from './interleave.js';
import {numberOptions} from './options.js';
import {isInstalled, OpenedThings, PACKAGES, preparePodman} from './peers.js';
import {hostFacts, printHost, printTable, summarizeAll, writeResult} from './report.js';
import {type Command, SpawnTimer} from './spawn-timer.js';
import {IMAGE, Workplace} from './workplace.js';

const {compileTemplate, parseJson} = (await import(
  new URL('../dist/inspect.js', import.meta.url).href
)) as typeof import('../src/inspect/index.js');

const NAME = 'benchmark-inspected';
const FORMAT = '{{.State.Status}} {{.Config.Image}}';
/** What scripts ask: fields, a condition, a loop over a map, a function. */
const TYPICAL =
  '{{.Name}} {{.State.Status}}{{if .State.Running}} up{{end}}' +
  '{{range $name, $network := .NetworkSettings.Networks}} {{$name}}={{$network.IPAddress}}{{end}} {{json .Config.Cmd}}';
/** Of renders, each timed as one. */
const REPEATS = 7;

const {rounds, warmups, renders} = numberOptions({rounds: 100, warmups: 10, renders: 10_000});
await using place = await Workplace.open();
const container = await Container.create(IMAGE, {name: NAME, command: ['/true']}, {runtime: place.runtime});
const document = JSON.stringify([await container.inspect()]);
const saved = join(place.folder, 'saved.json');
writeFileSync(saved, document);
await using timer = new SpawnTimer({cgroups: 'v1'});
const things = new OpenedThings();
const program = fileURLToPath(new URL('../bin/ts-inspect.cjs', import.meta.url));
const contenders: Contender[] = [
  timed('node -e 0', {command: process.execPath, args: ['-e', '0']}),
  timed('ts-inspect --input', {
    command: process.execPath,
    args: [program, '--input', saved, '--format', FORMAT],
  }),
  timed('ts-inspect', {
    command: process.execPath,
    args: [program, '--format', FORMAT, NAME],
    env: {CORACLE_ROOT: place.root, CORACLE_RUN: join(place.folder, 'run')},
  }),
];
const missing: string[] = [];
try {
  if (spawnSync('jq', ['--version'], {stdio: 'ignore'}).status === 0) {
    contenders.push(timed('jq', {command: 'jq', args: ['-r', '.[0].State.Status', saved]}));
  } else {
    missing.push('jq is missing: Debian package jq');
  }
  await addEngines();
  const host = hostFacts(place.root);
  printHost(host);
  for (const sentence of missing) console.log(sentence);
  const samples = await interleave(contenders, {rounds, warmups});
  const summary = summarizeAll(samples);
  const node = summary['node -e 0']!['lifeMs']!.medianMs;
  console.log(`\nOne field as a whole process, milliseconds, ${rounds} rounds`);
  printTable(
    ['', 'min', 'median', 'p95', '× node -e 0'],
    Object.entries(summary).map(([name, measures]) => {
      const {minMs, medianMs, p95Ms} = measures['lifeMs']!;
      return [name, minMs, medianMs, p95Ms, medianMs / node];
    }),
  );
  const inProcess = {fields: timeRenders(FORMAT), typical: timeRenders(TYPICAL)};
  console.log(`\n${renders} renders in one process, milliseconds, medians of ${REPEATS}`);
  printTable(['template', 'ms'], Object.entries(inProcess));
  writeResult('inspect', {host, rounds, renders, missing, summary, inProcess, samples});
} finally {
  await things[Symbol.asyncDispose]();
  await container.remove();
}

function timed(name: string, command: Command): Contender {
  return {name, once: async () => ({lifeMs: await timer.once(command)})};
}

/** With a container of their own of the same image. */
async function addEngines(): Promise<void> {
  const inspect = ['inspect', '--format', FORMAT, NAME];
  const create = ['create', '--name', NAME, 'benchmark-true', '/true'];
  if (isInstalled('docker')) {
    const daemon = things.use(await DockerDaemon.start(place.folder));
    daemon.docker('import', place.payload.tar, 'benchmark-true');
    daemon.docker(...create);
    contenders.push(timed('docker inspect', {command: 'docker', args: inspect, env: daemon.env}));
  } else {
    missing.push(`docker is missing: Debian package ${PACKAGES.docker}`);
  }
  if (isInstalled('podman')) {
    const {env, store} = preparePodman(place.folder, place.payload);
    await timer.once({command: 'podman', args: [...store, ...create], env});
    contenders.push(timed('podman inspect', {command: 'podman', args: [...store, ...inspect], env}));
  } else {
    missing.push(`podman is missing: Debian package ${PACKAGES.podman}`);
  }
}

/** The document was read before: this is about templates. */
function timeRenders(template: string): number {
  const render = compileTemplate(template);
  const value = parseJson(document.slice(1, -1));
  const expected = render(value);
  const times = Array.from({length: REPEATS}, () => {
    const begin = performance.now();
    for (let count = 0; count < renders; count++) {
      if (render(value) !== expected) throw new Error(`${template} rendered differently`);
    }
    return performance.now() - begin;
  });
  return median(times);
}
