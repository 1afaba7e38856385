/**
 * What a build costs: a Dockerfile of ten instructions on a base that is there, everything done anew, and everything
 * remembered; against dockerd's classic builder.
 *
 *     node --import=tsx benchmarks/build.ts [--rounds 5] [--warmups 1]
 *
 * Whole processes, as a person starts them: `coracle build` and `docker build`, each with its own store on the same file
 * system. The base is this host's shell and small tools; each round's context has a file that no other round had. RUN has no
 * network in either. docker is told not to use BuildKit, whose daemon is not part of Debian's dockerd.
 */
import {execFileSync, spawnSync} from 'node:child_process';
import {chmodSync, mkdirSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {Image} from './built-sdk.js';
import {DockerDaemon} from './docker-daemon.js';
import {type Contender, interleave, median} from './interleave.js';
import {numberOptions} from './options.js';
import {isInstalled, OpenedThings, PACKAGES} from './peers.js';
import {hostFacts, printHost, printTable, summarize, writeResult} from './report.js';
import {Workplace} from './workplace.js';

const BASE = 'benchmark-base';
const DOCKERFILE = `FROM ${BASE}
LABEL stage=benchmark
ENV MODE=fast
WORKDIR /app
COPY requirements.txt .
RUN mkdir lib && cat requirements.txt >lib/list
COPY . .
RUN chmod +x start.sh
EXPOSE 80
CMD ["./start.sh"]
`;

const {rounds, warmups} = numberOptions({rounds: 5, warmups: 1});
await using place = await Workplace.open();
await using opened = new OpenedThings();
const context = join(place.folder, 'context');
mkdirSync(context);
writeFileSync(join(context, 'Dockerfile'), DOCKERFILE);
writeFileSync(join(context, 'requirements.txt'), 'one\ntwo\n');
writeFileSync(join(context, 'start.sh'), '#!/bin/sh\necho started\n');
chmodSync(join(context, 'start.sh'), 0o644);
let number = 0;

const coracle = fileURLToPath(new URL('../bin/coracle.cjs', import.meta.url));
const base = await Image.hostShell({runtime: place.runtime});
await base.tag(BASE);

const contenders: Contender[] = [
  builder('coracle build', [process.execPath, coracle], {CORACLE_ROOT: place.root, CORACLE_RUN: place.run}),
];
if (isInstalled('docker')) {
  const daemon = opened.use(await DockerDaemon.start(place.folder));
  const archive = join(place.folder, 'base.tar');
  execFileSync(process.execPath, [coracle, 'save', '-o', archive, BASE], {
    env: {...process.env, CORACLE_ROOT: place.root, CORACLE_RUN: place.run},
  });
  daemon.docker('load', '--input', archive);
  contenders.push(builder('docker build', ['docker'], {...daemon.env, DOCKER_BUILDKIT: '0'}));
} else console.log(`docker is missing: Debian package ${PACKAGES.docker}`);

const host = hostFacts(place.root);
printHost(host);
const samples = await interleave(contenders, {rounds, warmups, pauseMs: 200});
const [own, theirs] = [samples['coracle build']!, samples['docker build']];
console.log('\nA Dockerfile of ten instructions, milliseconds');
printTable(
  ['', 'anew, median', 'p95', 'remembered, median', 'p95'],
  Object.entries(samples).map(([name, {anew = [], remembered = []}]) => {
    const [first, again] = [summarize(anew), summarize(remembered)];
    return [name, first.medianMs, first.p95Ms, again.medianMs, again.p95Ms];
  }),
);
const ratios =
  theirs === undefined
    ? {}
    : {
        anew: median(own['anew']!) / median(theirs['anew']!),
        remembered: median(own['remembered']!) / median(theirs['remembered']!),
      };
for (const [name, ratio] of Object.entries(ratios))
  console.log(`${name}: ${ratio.toFixed(3)} of docker build`);
writeResult('build', {host, rounds, samples, ratios});

/** One with a file that is new, and the same again. */
function builder(name: string, program: readonly string[], env: Readonly<Record<string, string>>): Contender {
  const build = (): number => {
    const args = [...program.slice(1), 'build', '--network', 'none', '--tag', 'benchmark-built', context];
    const begin = performance.now();
    const {status, stderr} = spawnSync(program[0]!, args, {env: {...process.env, ...env}, encoding: 'utf8'});
    if (status !== 0) throw new Error(`${name}: ${stderr}`);
    return performance.now() - begin;
  };
  return {
    name,
    async once() {
      writeFileSync(join(context, 'requirements.txt'), `round ${number++}\n`);
      return {anew: build(), remembered: build()};
    },
  };
}
