import {mkdtempSync} from 'node:fs';
import {join} from 'node:path';
import {setTimeout as sleep} from 'node:timers/promises';
import type {ExecutionContext} from 'ava';
import {type Container, Image, type Mount, Volume} from '../../src/index.js';
import {
  backup,
  type DumpSidecar,
  dumpSource,
  openRepository,
  restore,
  restoreDump,
} from '../../src/sidecar/index.js';
import {ownRuntime} from '../helpers/own-runtime.js';
import {requiresAsRoot} from '../helpers/requires.js';

const own = ownRuntime();
const withRedis = requiresAsRoot('redis-server', 'redis-server');
const LONG = process.env['CORACLE_TEST_LONG'] !== undefined;

const IMAGE = 'test-redis';
const SERVER = ['redis-server', '--dir', '/data', '--appendonly', 'yes', '--save', '', '--bind', '127.0.0.1'];

async function redis(name: string, volume: string): Promise<Container> {
  const runtime = await own.runtime;
  await Image.fromHost({name: IMAGE, binaries: ['redis-server', 'redis-cli', 'sh', 'sleep']}, {runtime});
  const mounts: Mount[] = [{type: 'volume', name: volume, target: '/data'}];
  const server = await own.create({name, command: SERVER, mounts}, IMAGE);
  await server.startDetached();
  await answers(server);
  return server;
}

async function answers(server: Container): Promise<void> {
  await server.waitFor({log: /Ready to accept connections/}, {timeoutMs: 60_000});
}

async function ask(server: Container, ...words: readonly string[]): Promise<string> {
  const {stdout, exitCode, stderr} = await server.capture(['redis-cli', ...words]);
  if (exitCode !== 0) throw new Error(stderr);
  return stdout.trim();
}

/** Sets `key:1`, `key:2` and so on, one after the other, as long as the server is there. */
async function load(server: Container): Promise<Container> {
  const script =
    'i=0; while sleep 0.002; do i=$((i + 1)); echo "SET key:$i value:$i"; done | redis-cli >/dev/null';
  const container = await own.create(
    {command: ['sh', '-c', script], network: `container:${server.id}`},
    IMAGE,
  );
  await container.startDetached();
  while (Number(await ask(server, 'dbsize')) < 20) await sleep(10);
  return container;
}

/** All keys up to the last are there. @returns how many */
async function assertPrefix(t: ExecutionContext, server: Container): Promise<number> {
  const count = Number(await ask(server, 'dbsize'));
  t.true(count >= 20);
  for (const n of [1, Math.ceil(count / 2), count]) t.is(await ask(server, 'get', `key:${n}`), `value:${n}`);
  return count;
}

const repository = () => join(mkdtempSync(join(own.folder, 'backups-')), 'repository');

for (const consistency of LONG ? (['pause', 'stop', 'snapshot'] as const) : (['pause'] as const)) {
  withRedis(
    `a database that is saved by ${consistency} under load, destroyed and restored has its data`,
    async t => {
      t.timeout(300_000);
      const runtime = await own.runtime;
      const volume = `redis-${consistency}`;
      const server = await redis(volume, volume);
      const writing = await load(server);
      const url = repository();
      const options = {repository: url, consistency, fallback: 'pause'} as const;
      const {snapshot} = await backup({volumes: [volume]}, options, {runtime});
      t.deepEqual(snapshot.paused, [volume]);
      t.like(snapshot.applications, [{name: volume, image: IMAGE, targets: {[volume]: '/data'}}]);
      for (const each of [writing, server]) await each.remove({force: true});
      await (await Volume.get(volume, {runtime})).remove();
      await restore(volume, {repository: url}, {runtime});
      const again = await redis(`${volume}-again`, volume);
      await assertPrefix(t, again);
      await again.remove({force: true});
    },
  );
}

withRedis(
  'a database that is dumped under load, destroyed and restored by the inverse command has its data',
  async t => {
    const runtime = await own.runtime;
    const server = await redis('dumped', 'redis-dumped');
    const writing = await load(server);
    const all = `local r = {} for _, key in ipairs(redis.call('keys', '*')) do r[#r + 1] = 'SET ' .. key .. ' ' .. redis.call('get', key) end return table.concat(r, '\\n')`;
    const tool = (container: string, command: string | readonly string[]): DumpSidecar => ({
      container,
      image: IMAGE,
      command,
    });
    const url = repository();
    const source = dumpSource('redis.txt', tool('dumped', ['redis-cli', '-e', 'eval', all, '0']), {runtime});
    const {snapshot} = await backup({dumps: [source]}, {repository: url}, {runtime});
    t.like(snapshot, {consistency: 'dump', paused: [], pausedMs: 0});
    t.like(snapshot.parts, [{kind: 'dump', name: 'redis.txt'}]);
    for (const each of [writing, server]) await each.remove({force: true});
    const again = await redis('dumped-again', 'redis-new');
    await using opened = await openRepository(url, {}, {runtime});
    const content = opened.openDump(snapshot, 'redis.txt');
    await restoreDump('redis.txt', content, tool('dumped-again', 'redis-cli -e >/dev/null'), {runtime});
    await assertPrefix(t, again);
    await again.remove({force: true});
  },
);
