import {execFileSync} from 'node:child_process';
import {randomBytes} from 'node:crypto';
import {chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync} from 'node:fs';
import {createServer} from 'node:net';
import {join} from 'node:path';
import {setTimeout as sleep} from 'node:timers/promises';
import type {Implementation} from 'ava';
import {Container, CoracleError, Volume} from '../../../src/index.js';
import type {
  DumpSource,
  Repository,
  Snapshot,
  SnapshotFacts,
  Source,
} from '../../../src/sidecar/repository.js';
import {type OpenResticOptions, openRestic} from '../../../src/sidecar/restic/index.js';
import {ownRuntime, textOf} from '../../helpers/own-runtime.js';
import {requiresAsRoot} from '../../helpers/requires.js';
import {RestServer} from '../../helpers/restic-rest-server.js';
import {treeFacts, writeCorpus} from '../../helpers/volume-corpus.js';

const own = ownRuntime();
/** Each call of restic's derives its key anew, which takes half a second. */
const LONG = process.env['CORACLE_TEST_LONG'] !== undefined;
const withRestic = requiresAsRoot('restic', 'restic');
const longWithRestic = (title: string, implementation: Implementation<[]>) => {
  if (LONG) withRestic(title, implementation);
};
const ROUNDS = LONG ? 70 : 1;

const folder = () => mkdtempSync(join(own.folder, 'restic-'));
const PASSWORD = "pass 'word'";
const key = {secret: PASSWORD} as const;

async function open(
  url = `restic:${join(folder(), 'repository')}`,
  options: OpenResticOptions = {},
): Promise<Repository> {
  return openRestic(url, {create: true, key, ...options}, await own.runtime);
}

async function volumeWith(name: string, files: Readonly<Record<string, string | Buffer>>): Promise<Volume> {
  const volume = await Volume.create({name}, {runtime: await own.runtime});
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(join(volume.mountpoint, path, '..'), {recursive: true});
    writeFileSync(join(volume.mountpoint, path), content);
  }
  return volume;
}

const source = (name: string): Source => ({kind: 'volume', name, volume: name});

const FACTS: SnapshotFacts = {
  time: '2026-03-04T05:06:07.008Z',
  host: 'web-1',
  tags: ['nightly'],
  consistency: 'pause',
  paused: ['app'],
  pausedMs: 12,
  applications: [{name: 'app', image: 'app:1', argv: ['app', '--serve'], targets: {data: '/data'}}],
};

async function save(repository: Repository, sources: readonly Source[], facts: Partial<SnapshotFacts> = {}) {
  return repository.backup(sources, {facts: () => ({...FACTS, ...facts}), released: async () => {}});
}

function dump(name: string, ...chunks: readonly (string | Error)[]): DumpSource {
  return {
    kind: 'dump',
    name,
    async *open() {
      for (const chunk of chunks) {
        if (chunk instanceof Error) throw chunk;
        yield Buffer.from(chunk);
      }
    },
  };
}

/** Into a directory as restores have it. */
async function restored(
  repository: Repository,
  snapshot: Snapshot,
  part: string,
  paths?: readonly string[],
): Promise<string> {
  const directory = folder();
  await repository.restore(snapshot, part, directory, paths ? {paths} : {});
  return directory;
}

/** The program itself, outside of any container. */
function restic(repository: Repository, ...words: readonly string[]): string {
  const env = {...process.env, RESTIC_PASSWORD: PASSWORD, RESTIC_CACHE_DIR: join(own.folder, 'cache')};
  const target = repository.url.slice('restic:'.length);
  return execFileSync('restic', ['--repo', target, ...words], {
    env,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

withRestic(
  'a volume comes back from restic in all that can be told of it, but for holes and sockets',
  async t => {
    const runtime = await own.runtime;
    const volume = await Volume.create({name: 'corpus'}, {runtime});
    writeCorpus(volume.mountpoint);
    const facts = treeFacts(volume.mountpoint, {holes: false});
    const server = createServer().listen(join(volume.mountpoint, 'closed-directory', 'socket'));
    const repository = await open();
    const {snapshot, warnings} = await save(repository, [source('corpus')]);
    t.deepEqual(warnings, ['corpus/closed-directory/socket: a socket, which restic leaves out']);
    server.close();
    t.like(snapshot.parts[0], {kind: 'volume', name: 'corpus', entries: facts.length});
    await volume.remove();
    const directory = folder();
    const {entries, warnings: lost} = await repository.restore(snapshot, 'corpus', directory);
    t.is(entries, facts.length);
    t.true(lost.length === 0 || lost[0]!.startsWith('holes of files are filled'));
    // The socket is gone, and with it the time of its directory.
    const timeless = (lines: readonly string[]) =>
      lines.filter(line => !line.startsWith('"closed-directory" '));
    t.deepEqual(timeless(treeFacts(directory, {holes: false})), timeless(facts));
    t.regex(treeFacts(directory)[0]!, /^"" 40700 999:998 7000000009/);
  },
);

withRestic('volumes and dumps are one snapshot, and restic’s own tools work on it', async t => {
  const repository = await open();
  await volumeWith('first', {'a/file': 'one'});
  await volumeWith('second', {file: 'two'});
  const sources = [source('first'), dump('app.sql', 'CREATE ', 'TABLE'), source('second')];
  const {snapshot, warnings} = await save(repository, sources);
  t.deepEqual(warnings, []);
  t.like(snapshot, {...FACTS});
  t.regex(snapshot.id, /^[0-9a-f]{64}$/);
  t.true(snapshot.addedBytes > 0);
  t.deepEqual(
    snapshot.parts.map(({kind, name, entries, bytes}) => [kind, name, entries, bytes]),
    [
      ['volume', 'first', 3, 3],
      ['volume', 'second', 2, 3],
      ['dump', 'app.sql', 1, 12],
    ],
  );
  t.deepEqual(await repository.snapshots(), [snapshot]);
  t.is(await textOf(repository.openDump(snapshot, 'app.sql')), 'CREATE TABLE');
  t.is(readFileSync(join(await restored(repository, snapshot, 'second'), 'file'), 'utf8'), 'two');
  t.regex(restic(repository, 'snapshots', '--tag', 'nightly'), /web-1 +nightly|nightly/);
  t.is(restic(repository, 'dump', snapshot.id, '/volumes/first/a/file'), 'one');
  const place = folder();
  restic(repository, 'restore', snapshot.id, '--target', place);
  t.is(readFileSync(join(place, 'volumes/second/file'), 'utf8'), 'two');
  const next = await save(repository, sources, {time: '2026-03-05T00:00:00Z'});
  t.is(next.snapshot.parent, snapshot.id);
  t.deepEqual(
    (await repository.snapshots()).map(({id}) => id),
    [snapshot.id, next.snapshot.id],
  );
  await t.throwsAsync(repository.restore({...snapshot, id: '0'.repeat(64)}, 'first', place), {
    code: 'ERR_SNAPSHOT_NOT_FOUND',
  });
});

longWithRestic(
  'single paths come back with the directories above them, whatever they are called',
  async t => {
    const repository = await open();
    const odd = 'star * [x] ?\\';
    const volume = await volumeWith('paths', {
      'd/deep/kept': '1',
      'd/other': '2',
      [odd]: '3',
      'star z [x] yy': '4',
    });
    chmodSync(join(volume.mountpoint, 'd'), 0o750);
    const {snapshot} = await save(repository, [source('paths')]);
    const directory = await restored(repository, snapshot, 'paths', ['d/deep', odd]);
    t.deepEqual(readdirSync(directory, {recursive: true}).sort(), ['d', 'd/deep', 'd/deep/kept', odd]);
    t.is(
      treeFacts(directory)
        .find(line => line.startsWith('"d" '))
        ?.split(' ')[1],
      '40750',
    );
  },
);

withRestic('a dump that fails makes no snapshot', async t => {
  const repository = await open();
  await volumeWith('with-dump', {file: 'x'});
  const failing = dump('app.sql', 'CREATE', new Error('pg_dump ended with code 1'));
  await t.throwsAsync(save(repository, [source('with-dump'), failing]), {
    message: 'pg_dump ended with code 1',
  });
  t.deepEqual(await repository.snapshots(), []);
  const listed = JSON.parse(restic(repository, 'snapshots', '--json')) as {paths: string[]}[];
  t.deepEqual(
    listed.flatMap(({paths}) => paths),
    ['/volumes/with-dump'],
    'prune removes it when it is a day old',
  );
});

withRestic('verification reads all or a share, and names what is damaged and who needs it', async t => {
  const repository = await open();
  await volumeWith('damaged', {big: randomBytes(100_000)});
  await volumeWith('unharmed', {big: randomBytes(100_000)});
  const first = await save(repository, [source('damaged')]);
  const packs = () => readdirSync(join(repository.url.slice(7), 'data'), {recursive: true, encoding: 'utf8'});
  const ofFirst = new Set(packs());
  const second = await save(repository, [source('unharmed')]);
  const whole = await repository.verify();
  t.like(whole, {snapshots: 2, problems: []});
  t.true(whole.read >= 4 && whole.readBytes >= 200_000);
  const share = await repository.verify({share: 0.5});
  t.true(share.read < whole.read && share.problems.length === 0);
  await t.throwsAsync(repository.verify({share: 0}), {code: 'ERR_INVALID_OPTION'});
  const pack = [...ofFirst].find(path => /[0-9a-f]{64}$/.test(path) && sizeOf(repository, path) > 100_000)!;
  flipBit(join(repository.url.slice(7), 'data', pack), 5000);
  const {problems} = await repository.verify();
  t.deepEqual(
    problems.map(({subject, snapshots}) => ({subject, snapshots})),
    [{subject: `pack ${pack.slice(3)}`, snapshots: [first.snapshot.id]}],
  );
  await t.throwsAsync(restored(repository, first.snapshot, 'damaged'), {
    instanceOf: CoracleError,
  });
  await restored(repository, second.snapshot, 'unharmed');
});

const sizeOf = (repository: Repository, path: string) =>
  readFileSync(join(repository.url.slice(7), 'data', path)).length;

function flipBit(path: string, at: number): void {
  const bytes = readFileSync(path);
  bytes[at]! ^= 1;
  chmodSync(path, 0o600);
  writeFileSync(path, bytes);
}

longWithRestic('snapshots are forgotten with their results, and pruning frees what nobody needs', async t => {
  const repository = await open();
  const volume = await volumeWith('kept', {old: randomBytes(200_000)});
  const first = (await save(repository, [source('kept'), dump('d', 'x')])).snapshot;
  const result = {
    kind: 'drill',
    snapshot: first.id,
    time: FACTS.time,
    passed: true,
    notes: ['started'],
  } as const;
  await repository.record(result);
  t.deepEqual(await repository.results(), [result]);
  writeFileSync(join(volume.mountpoint, 'old'), randomBytes(300_000));
  const second = (await save(repository, [source('kept')])).snapshot;
  t.is((await repository.prune()).freedBytes, 0);
  await t.throwsAsync(repository.forget([first.id, '0'.repeat(64)]), {code: 'ERR_SNAPSHOT_NOT_FOUND'});
  await repository.forget([first.id]);
  t.deepEqual(
    (await repository.snapshots()).map(({id}) => id),
    [second.id],
  );
  t.deepEqual(await repository.results(), []);
  t.true((await repository.prune()).freedBytes > 100_000);
  await restored(repository, second, 'kept');
  await t.throwsAsync(repository.record(result), {code: 'ERR_SNAPSHOT_NOT_FOUND'});
});

longWithRestic(
  'a snapshot whose file was changed is told of, and the next backup reads everything again',
  async t => {
    const place = join(folder(), 'repository');
    const repository = await open(`restic:${place}`);
    await volumeWith('unreadable', {file: '1'});
    const first = await save(repository, [source('unreadable')]);
    const before = new Set(readdirSync(join(place, 'snapshots')));
    await save(repository, [source('unreadable')]);
    const [newest] = readdirSync(join(place, 'snapshots')).filter(name => !before.has(name));
    const path = join(place, 'snapshots', newest!);
    chmodSync(path, 0o600);
    const content = readFileSync(path);
    content[40]! ^= 1;
    writeFileSync(path, content);
    const id = newest!.slice(0, 8);
    t.like(await repository.unreadable!(), [{id}]);
    const {warnings, snapshot} = await save(repository, [source('unreadable')]);
    t.regex(
      warnings.join('\n'),
      new RegExp(`^the snapshot ${id} cannot be read, so everything was read again: `),
    );
    await restored(repository, snapshot, 'unreadable');
    t.true((await repository.snapshots()).some(each => each.id === first.snapshot.id));
    await t.throwsAsync(repository.forget([id]), {
      code: 'ERR_REPOSITORY_DAMAGED',
      message: new RegExp(`^restic does not forget the snapshot ${id}: `),
    });
  },
);

withRestic('a wrong password, no repository, a full disk and a missing server are clear errors', async t => {
  const repository = await open();
  await t.throwsAsync(open(repository.url, {key: {secret: 'wrong'}}), {
    code: 'ERR_REPOSITORY_KEY',
    message: `${repository.url}: the password does not open it`,
  });
  const nowhere = `restic:${folder()}`;
  await t.throwsAsync(open(nowhere, {create: false}), {
    code: 'ERR_REPOSITORY_NOT_FOUND',
    message: `${nowhere}: there is no restic repository`,
  });
  await t.throwsAsync(open('restic:'), {code: 'ERR_INVALID_OPTION'});
  await t.throwsAsync(open('restic:rest:http://user:secret@127.0.0.1:9/', {network: 'host', create: false}), {
    code: 'ERR_REPOSITORY_UNREACHABLE',
    message: /^restic:rest:http:\/\/user@127\.0\.0\.1:9\/: .*connection refused$/,
  });
  const place = folder();
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', place]);
  t.teardown(() => execFileSync('umount', [place]));
  const small = await open(`restic:${place}`);
  await volumeWith('small', {file: 'small'});
  const {snapshot} = await save(small, [source('small')]);
  await volumeWith('large', {big: randomBytes(4 * 2 ** 20)});
  await t.throwsAsync(save(small, [source('large')]), {
    code: 'ERR_REPOSITORY_WRITE',
    message: /no space left on device/,
  });
  t.deepEqual(
    (await small.snapshots()).map(({id}) => id),
    [snapshot.id],
  );
  await restored(small, snapshot, 'small');
  await t.throwsAsync(save(repository, [source('no-such-volume')]), {code: 'ERR_VOLUME_NOT_FOUND'});
});

longWithRestic(
  'a repository behind a server works as one in a directory, and a server that vanishes loses nothing',
  async t => {
    await using server = await RestServer.start();
    const url = `restic:rest:http://user:secret@127.0.0.1:${server.port}/`;
    const repository = await open(url, {network: 'host'});
    t.is(repository.url, `restic:rest:http://user@127.0.0.1:${server.port}/`);
    await volumeWith('remote', {file: 'over the network'});
    const {snapshot} = await save(repository, [source('remote'), dump('d', 'x')]);
    t.is(
      readFileSync(join(await restored(repository, snapshot, 'remote'), 'file'), 'utf8'),
      'over the network',
    );
    t.deepEqual([...server.authorizations], [`Basic ${Buffer.from('user:secret').toString('base64')}`]);
    await volumeWith('remote', {more: randomBytes(100_000)});
    server.isVanished = true;
    const abort = new AbortController();
    // restic itself tries again for a quarter of an hour.
    const saving = repository.backup([source('remote')], {
      facts: () => FACTS,
      released: async () => {},
      signal: abort.signal,
    });
    await sleep(500);
    abort.abort(new Error('enough'));
    await t.throwsAsync(saving, {message: /enough|EOF|refused|reset/});
    server.isVanished = false;
    t.deepEqual(
      (await repository.snapshots()).map(({id}) => id),
      [snapshot.id],
    );
    await save(repository, [source('remote')]);
  },
);

longWithRestic('no password is to be seen: not in arguments, nor in what inspect shows', async t => {
  const runtime = await own.runtime;
  await volumeWith('secretive', {file: 'x'});
  const repository = await open();
  const seen: string[] = [];
  const slow: DumpSource = {
    kind: 'dump',
    name: 'slow',
    async *open() {
      yield Buffer.from('x');
      for (const container of await Container.list({runtime})) {
        const facts = await container.inspect().catch(() => undefined);
        if (facts?.Config.Labels['coracle.sidecar'] !== 'restic') continue;
        const pid = facts.State.Pid;
        if (pid > 0) seen.push(JSON.stringify(facts) + readFileSync(`/proc/${pid}/cmdline`, 'utf8'));
      }
    },
  };
  await save(repository, [slow]);
  t.true(seen.length > 0);
  for (const each of seen) t.notRegex(each, /pass 'word'|pass\b.*word/);
});

longWithRestic(
  'of a sidecar that is killed nothing is left, and its lock stands in nobody’s way',
  async t => {
    const runtime = await own.runtime;
    const repository = await open();
    await volumeWith('interrupted', {file: 'x'});
    const {snapshot} = await save(repository, [source('interrupted')]);
    for (let round = 0; round < ROUNDS; round++) {
      const killing: DumpSource = {
        kind: 'dump',
        name: 'killed',
        async *open() {
          yield randomBytes(100_000);
          for (const container of await Container.list({runtime})) {
            const facts = await container.inspect().catch(() => undefined);
            const isOurs = facts?.Mounts.some(({Source}) => Source === repository.url.slice(7));
            if (isOurs) await container.kill().catch(() => {});
          }
          yield randomBytes(100_000);
        },
      };
      await t.throwsAsync(save(repository, [killing]), {
        code: 'ERR_SIDECAR_FAILED',
        message: /^dump killed: restic (was )?ended by/,
      });
    }
    t.true(readdirSync(join(repository.url.slice(7), 'locks')).length > 0);
    t.deepEqual(
      (await repository.snapshots()).map(({id}) => id),
      [snapshot.id],
    );
    await restored(repository, snapshot, 'interrupted');
    t.deepEqual((await repository.verify()).problems, []); // alone, and so without locks of others
    t.deepEqual(readdirSync(join(repository.url.slice(7), 'locks')), []);
    await save(repository, [source('interrupted')]);
  },
);
