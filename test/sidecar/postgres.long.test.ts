/** PostgreSQL under load, in its own words: what was committed before a backup is in it, and a transaction is in it or not. */
import {chmodSync, chownSync, readdirSync} from 'node:fs';
import {join} from 'node:path';
import {setTimeout as sleep} from 'node:timers/promises';
import type {ExecutionContext} from 'ava';
import {Container, Image, type Mount, type Runtime, Volume} from '../../src/index.js';
import {
  backup,
  type DumpSidecar,
  drill,
  openRepository,
  restore,
  restoreDump,
} from '../../src/sidecar/index.js';
import {OwnRuntime} from '../helpers/own-runtime.js';
import {requiresAsRoot} from '../helpers/requires.js';
import {scratchFileSystem} from '../helpers/scratch-file-system.js';

const HOME = '/usr/lib/postgresql';
const withPostgres =
  process.env['CORACLE_TEST_LONG'] === undefined ? () => {} : requiresAsRoot(HOME, 'postgresql');
const IMAGE = 'test-postgres';
/** PostgreSQL does not run as root. */
const NOBODY = 65_534;

/** Of the newest that is installed. */
async function makeImage(runtime: Runtime): Promise<void> {
  const versions = readdirSync(HOME).sort((a, b) => Number(a) - Number(b));
  const home = join(HOME, versions.at(-1)!);
  const programs = ['postgres', 'initdb', 'psql', 'pg_dump'].map(name => join(home, 'bin', name));
  const files = [
    ...['plpgsql.so', 'dict_snowball.so'].map(name => join(home, 'lib', name)),
    join('/usr/share/postgresql', versions.at(-1)!),
    '/usr/share/zoneinfo',
  ];
  await Image.fromHost({name: IMAGE, binaries: [...programs, 'sh', 'sleep'], files}, {runtime});
}

const SERVER = `
  [ -s /data/PG_VERSION ] || initdb -D /data -U app -A trust -E UTF8 --locale=C --no-sync >/dev/null
  exec postgres -D /data -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c shared_buffers=16MB`;

async function postgres(runtime: Runtime, name: string): Promise<Container> {
  const mounts: Mount[] = [{type: 'volume', name, target: '/data'}];
  const command = ['sh', '-c', SERVER];
  const server = await Container.create(IMAGE, {name, command, mounts, user: 'nobody'}, {runtime});
  await server.startDetached();
  await server.waitFor({log: /ready to accept connections/}, {timeoutMs: 180_000});
  return server;
}

/** Its root belongs to the server alone, which refuses another. */
async function dataVolume(runtime: Runtime, name: string): Promise<void> {
  const {mountpoint} = await Volume.create({name}, {runtime});
  chownSync(mountpoint, NOBODY, NOBODY);
  chmodSync(mountpoint, 0o700);
}

const psql = (database = 'postgres') => `psql -X -h 127.0.0.1 -U app -v ON_ERROR_STOP=1 -qAt ${database}`;

async function ask(server: Container, sql: string, database?: string): Promise<string> {
  const words = [...psql(database).split(' '), '-c', sql];
  const {stdout, stderr, exitCode} = await server.capture(words);
  if (exitCode !== 0) throw new Error(stderr);
  return stdout.trim();
}

const TABLES = 'create table debit (n int primary key, of text); create table credit (n int primary key)';
const COUNTS =
  'select (select count(*) from debit), (select count(*) from credit), (select max(n) from debit)';

/** Transactions without pause, each of them in both tables. */
async function load(runtime: Runtime, server: Container): Promise<Container> {
  const script = `
    i=0
    while :; do
      i=$((i + 1))
      echo "begin; insert into debit values ($i, md5('$i')); insert into credit values ($i); commit;"
    done | ${psql()}`;
  const options = {command: ['sh', '-c', script], network: `container:${server.id}`} as const;
  const container = await Container.create(IMAGE, options, {runtime});
  await container.startDetached();
  while ((await committed(server)) < 50) await sleep(10);
  return container;
}

async function committed(server: Container): Promise<number> {
  return Number(await ask(server, 'select count(*) from credit'));
}

/** All up to the last is there, as it was written. */
async function assertWhole(
  t: ExecutionContext,
  server: Container,
  atLeast: number,
  database?: string,
): Promise<void> {
  const [debits, credits, last] = (await ask(server, COUNTS, database)).split('|').map(Number);
  t.deepEqual([debits, credits], [last, last]);
  t.true(last! >= atLeast, `${last} transactions, and ${atLeast} were committed before`);
  t.is(await ask(server, 'select count(*) from debit where of <> md5(n::text)', database), '0');
}

withPostgres(
  'PostgreSQL that is saved by pause, by snapshot and by pg_dump under load, destroyed and restored has all transactions',
  async t => {
    t.timeout(1_200_000);
    const folder = new OwnRuntime();
    const own = new OwnRuntime(0, scratchFileSystem(t, folder.folder, {type: 'xfs', size: '2G'}));
    t.teardown(async () => {
      await (await own.runtime).close();
    });
    const runtime = await own.runtime;
    const repository = join(own.folder, 'repository');
    await makeImage(runtime);
    await dataVolume(runtime, 'bank');
    const server = await postgres(runtime, 'bank');
    await ask(server, TABLES);
    const writing = await load(runtime, server);
    const saved = [];
    for (const consistency of ['pause', 'snapshot'] as const) {
      const before = await committed(server);
      const {snapshot} = await backup({volumes: ['bank']}, {repository, consistency}, {runtime});
      t.deepEqual(snapshot.paused, ['bank']);
      t.like(snapshot.applications, [{name: 'bank', image: IMAGE, user: 'nobody'}]);
      t.log(`${consistency}: held for ${snapshot.pausedMs} ms`);
      saved.push({snapshot, before});
      const more = await committed(server);
      while ((await committed(server)) === more) await sleep(10); // it goes on
    }
    const sidecar = (container: string, command: string): DumpSidecar => ({container, image: IMAGE, command});
    const beforeDump = await committed(server);
    const dump = {name: 'bank.sql', ...sidecar('bank', 'pg_dump -h 127.0.0.1 -U app postgres')};
    const dumped = await backup({dumps: [dump]}, {repository}, {runtime});
    t.like(dumped.snapshot, {consistency: 'dump', paused: []});

    for (const each of [writing, server]) await each.remove({force: true});
    await (await Volume.get('bank', {runtime})).remove();

    for (const {snapshot, before} of saved) {
      const check = `${psql()} -c "${COUNTS}" && test "$(${psql()} -c 'select count(*) from credit')" -ge ${before}`;
      const proven = await drill({repository, snapshot: snapshot.id, check, timeoutMs: 180_000}, {runtime});
      t.true(proven.passed, proven.notes.join('; '));
      await restore('bank', {repository, snapshot: snapshot.id, replace: true}, {runtime});
      const again = await postgres(runtime, 'bank');
      await assertWhole(t, again, before);
      await again.remove({force: true});
    }

    const again = await postgres(runtime, 'bank');
    await ask(again, 'create database fresh template template0');
    await using opened = await openRepository(repository, {}, {runtime});
    const content = opened.openDump(dumped.snapshot, 'bank.sql');
    await restoreDump('bank.sql', content, sidecar('bank', `${psql('fresh')} >/dev/null`), {runtime});
    await assertWhole(t, again, beforeDump, 'fresh');
    const read = await drill({repository, snapshot: dumped.snapshot.id}, {runtime});
    t.true(read.passed, read.notes.join('; '));
    await again.remove({force: true});
  },
);
