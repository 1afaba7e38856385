/**
 * What a user does with images, by whole processes: build, run in every way, change, keep, hand on. `ubuntu` is this host's own
 * shell, in the long run a Debian that debootstrap made.
 */
import {execFileSync, spawn} from 'node:child_process';
import {once} from 'node:events';
import {mkdirSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {text} from 'node:stream/consumers';
import {fileURLToPath} from 'node:url';
import type {ExecutionContext} from 'ava';
import test from 'ava';
import {ask} from '../helpers/a-server.js';
import {DockerRegistry} from '../helpers/docker-registry.js';
import {ownNetwork} from '../helpers/own-network.js';
import {asRoot, requiresAsRoot} from '../helpers/requires.js';

const LONG = process.env['CORACLE_TEST_LONG'] !== undefined;
const ubuntu = LONG ? requiresAsRoot('debootstrap', 'debootstrap') : asRoot;
const program = fileURLToPath(new URL('../../bin/coracle.cjs', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'coracle-test-'));

// The registry and published ports are at ports of this file's alone.
ownNetwork();
test.after.always(() => rmSync(folder, {recursive: true, force: true}));

interface Finished {
  readonly stdout: string;
  readonly stderr: string;
  readonly code: number;
}

/** A command line on one machine's images. */
function machine(name: string) {
  const env = {
    ...process.env,
    CORACLE_ROOT: join(folder, name),
    CORACLE_RUN: join(folder, `${name}-run`),
    DOCKER_CONFIG: join(folder, `${name}-docker`),
  };
  return async (...words: readonly string[]): Promise<Finished> => {
    const child = spawn(process.execPath, [program, ...words], {env, stdio: ['ignore', 'pipe', 'pipe']});
    const [stdout, stderr, [code]] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      once(child, 'close'),
    ]);
    return {stdout, stderr, code: code as number};
  };
}

const here = machine('here');

async function says(t: ExecutionContext, ...words: readonly string[]): Promise<string> {
  const {stdout, stderr, code} = await here(...words);
  t.is(code, 0, `${words.join(' ')}\n${stdout}${stderr}`);
  return stdout;
}

function context(name: string, files: Readonly<Record<string, string>>): string {
  const path = join(folder, name);
  mkdirSync(path, {recursive: true});
  for (const [file, content] of Object.entries(files)) writeFileSync(join(path, file), content);
  return path;
}

const TICKER = `#!/bin/bash
[ -n "$TICK_SECONDS" ] || { echo "TICK_SECONDS is not set"; exit 1; }
while true; do echo "$1 $(date +%H:%M:%S)"; sleep "$TICK_SECONDS"; done
`;
const DOCKERFILE = `FROM ubuntu:latest
MAINTAINER Coracle tests
COPY ticker.sh /entrypoint.sh
RUN chmod +x /entrypoint.sh
ENV TICK_SECONDS 2
ENTRYPOINT ["/entrypoint.sh"]
CMD ["tick"]
`;

test.before(async t => {
  if (!ubuntu.isMet) return;
  if (!LONG) {
    const tools = ['bash', 'sh', 'sleep', 'date', 'chmod', 'cat', 'ls', 'ps', 'pwd', 'mkdir', 'cp', 'env'];
    const made = await here('image', 'from-host', 'ubuntu:latest', ...tools);
    t.is(made.code, 0, made.stderr);
    return;
  }
  t.timeout(1_200_000);
  const root = join(folder, 'debian');
  // From where there is a network: that of whoever started this process.
  const outside = `--net=/proc/${process.ppid}/ns/net`;
  execFileSync('nsenter', [outside, 'debootstrap', '--variant=minbase', 'bookworm', root], {stdio: 'ignore'});
  execFileSync('tar', ['-C', root, '-cf', join(folder, 'debian.tar'), '.']);
  const made = await here('import', join(folder, 'debian.tar'), 'ubuntu:latest');
  t.is(made.code, 0, made.stderr);
});

ubuntu.serial('the ticker ticks, with its own words and with others', async t => {
  const path = context('ticker', {'ticker.sh': TICKER, Dockerfile: DOCKERFILE});
  const built = await says(t, 'build', '-t', 'ticker', path);
  t.regex(built, /^Step 1\/7 : FROM ubuntu:latest\n/);
  t.regex(built, /Successfully built [0-9a-f]{12}\nSuccessfully tagged ticker:latest\n$/);

  const run = async (...words: string[]) => (await here('run', '--rm', '--timeout', '1.5', ...words)).stdout;
  t.regex(await run('ticker'), /^tick \d\d:\d\d:\d\d\n$/);
  t.regex(await run('ticker', 'two words'), /^two words \d\d:\d\d:\d\d\n$/);
  t.regex(await run('--env', 'TICK_SECONDS=1', 'ticker'), /^tick [\d:]{8}\ntick [\d:]{8}\n$/);
  const unset = await here('run', '--rm', '--env', 'TICK_SECONDS=', 'ticker');
  t.deepEqual([unset.stdout, unset.code], ['TICK_SECONDS is not set\n', 1]);
  t.is(await says(t, 'run', '--rm', '--entrypoint', 'cat', 'ticker', '/entrypoint.sh'), TICKER);
});

ubuntu.serial('built again, what did not change comes from the cache', async t => {
  const path = join(folder, 'ticker');
  const cached = (output: string) => output.match(/ ---> Using cache/g)?.length ?? 0;
  t.is(cached(await says(t, 'build', '-t', 'ticker', path)), 6);
  writeFileSync(join(path, 'ticker.sh'), `${TICKER}# changed\n`);
  const changed = await says(t, 'build', '-t', 'ticker', path);
  t.is(cached(changed), 1);
  t.regex(changed, /Step 2\/7 : MAINTAINER Coracle tests\n ---> Using cache\n/);
  t.is(cached(await says(t, 'build', '--no-cache', '-t', 'ticker', path)), 0);
});

ubuntu.serial('what an image runs: a shell line, a list, and words in place of either', async t => {
  const build = (tag: string, Dockerfile: string) => says(t, 'build', '-t', tag, context(tag, {Dockerfile}));
  await build('line', 'FROM ubuntu\nCMD ps -aux\n');
  await build('list', 'FROM ubuntu\nCMD ["ps","-aux"]\n');
  const command = async (tag: string) =>
    JSON.parse(await says(t, 'inspect', '--format', '{{json .Config.Cmd}}', tag));
  t.deepEqual(await command('line'), ['/bin/sh', '-c', 'ps -aux']);
  t.deepEqual(await command('list'), ['ps', '-aux']);
  if (!LONG) {
    t.regex(await says(t, 'run', '--rm', 'line'), /COMMAND\n.* 1 .*ps -aux/);
    t.regex(await says(t, 'run', '--rm', 'list'), /COMMAND\n.* 1 .*ps -aux/);
  }
  t.is(await says(t, 'run', '--rm', 'list', 'sh', '-c', 'echo "$0 instead"', 'this'), 'this instead\n');
});

ubuntu.serial('labels, directories, volumes, ports and archives', async t => {
  const path = context('parts', {
    Dockerfile: `FROM ubuntu
LABEL maintained.by="Coracle tests" answer=42
WORKDIR /a
WORKDIR b
ADD parts.tar parts/
VOLUME /data
EXPOSE 80 53/udp
CMD pwd; cat parts/*
`,
    'part.txt': 'a part\n',
  });
  execFileSync('tar', ['-C', path, '-cf', join(path, 'parts.tar'), 'part.txt']);
  await says(t, 'build', '--tag', 'parts:1', '--tag', 'parts:2', path);
  t.is(await says(t, 'run', '--rm', 'parts:2'), '/a/b\na part\n');
  const format =
    '{{index .Config.Labels "answer"}} {{.Config.WorkingDir}} {{json .Config.Volumes}} {{json .Config.ExposedPorts}}';
  t.is(
    await says(t, 'inspect', '--format', format, 'parts:1'),
    '42 /a/b {"/data":{}} {"53/udp":{},"80/tcp":{}}\n',
  );
});

ubuntu.serial('a web application with the modules that were copied in is fetched from outside', async t => {
  const node = process.execPath;
  t.is((await here('image', 'from-host', 'node', node)).code, 0);
  const path = context('web', {
    Dockerfile: `FROM node
WORKDIR /app
COPY greeting.js lib/
COPY server.js .
EXPOSE 8000
CMD [${JSON.stringify(node)}, "server.js"]
`,
    'greeting.js': "exports.greet = who => 'hello, ' + who;\n",
    'server.js': `const {greet} = require('./lib/greeting.js');
require('net').createServer(s => s.once('data', who => s.end(greet(who))))
  .listen(8000, () => console.log('ready'));
`,
  });
  await says(t, 'build', '-t', 'web', path);
  await says(t, 'run', '-d', '--name', 'web', '--network', 'bridge', '-p', '8080:8000', 'web');
  for (let tries = 0; !(await says(t, 'logs', 'web')).includes('ready'); tries++) t.true(tries < 100);
  t.is(await ask('127.0.0.1', 8080, 'world'), 'hello, world');
  await says(t, 'rm', '-f', 'web');
});

ubuntu.serial('what was installed by hand is in the image that is made of the container', async t => {
  await says(t, 'run', '--name', 'by-hand', 'ubuntu', 'mkdir', '-p', '/srv/db');
  const tool = join(folder, 'database');
  writeFileSync(
    tool,
    '#!/bin/sh\nwhile read key value; do [ "$key" = "$1" ] && echo "$value"; done <"$DB"\n',
    {
      mode: 0o755,
    },
  );
  writeFileSync(join(folder, 'rows'), 'one first\ntwo second\n');
  await says(t, 'cp', tool, 'by-hand:/bin/database');
  await says(t, 'cp', join(folder, 'rows'), 'by-hand:/srv/db/rows');
  const words = ['-m', 'installed', '-c', 'ENV DB=/srv/db/rows', '-c', 'ENTRYPOINT ["/bin/database"]'];
  t.regex(await says(t, 'commit', ...words, 'by-hand', 'db:1'), /^sha256:[0-9a-f]{64}\n$/);
  await says(t, 'rm', 'by-hand');
  t.is(await says(t, 'run', '--rm', 'db:1', 'two'), 'second\n');
});

const withRegistry = requiresAsRoot('docker-registry', 'docker-registry');

withRegistry.serial('images go to another machine by an archive, and by a registry', async t => {
  const there = machine('there');
  const archive = join(folder, 'db.tar');
  await says(t, 'save', '-o', archive, 'db:1');
  const loaded = await there('load', '-i', archive);
  t.deepEqual([loaded.stdout, loaded.code], ['Loaded image: db:1\n', 0]);
  t.is((await there('run', '--rm', 'db:1', 'one')).stdout, 'first\n');

  await using registry = await DockerRegistry.start();
  const name = `${registry.name}/team/db`;
  await says(t, 'tag', 'db:1', `${name}:1`);
  t.regex(
    await says(t, 'push', `${name}:1`),
    new RegExp(
      `^The push refers to repository \\[${name}\\]\n(?:.|\n)*1: digest: sha256:[0-9a-f]{64} size: \\d+\n$`,
    ),
  );
  t.is(await says(t, 'tags', name), '1\n');

  const id = (await says(t, 'images', '-q', '--no-trunc', 'db:1')).trim();
  const conflict = await here('rmi', id);
  t.is(conflict.code, 1);
  t.is(
    conflict.stderr,
    `Error response from daemon: conflict: unable to delete ${id.slice(7, 19)} (must be forced) - image is referenced in multiple repositories\n`,
  );
  t.regex(await says(t, 'rmi', '-f', id), /^Untagged: db:1\n(?:.|\n)*Deleted: sha256:/);

  const another = machine('another');
  const pulled = await another('pull', `${name}:1`);
  t.is(pulled.code, 0, pulled.stderr);
  t.regex(pulled.stdout, new RegExp(`Status: Downloaded newer image for ${name}:1\n${name}:1\n$`));
  t.is((await another('run', '--rm', `${name}:1`, 'two')).stdout, 'second\n');
});
