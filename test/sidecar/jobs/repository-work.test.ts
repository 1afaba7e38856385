import {
  appendFileSync,
  chmodSync,
  chownSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import {join} from 'node:path';
import {Container, Volume} from '../../../src/index.js';
import {backup, drill, forget, restore, verify} from '../../../src/sidecar/index.js';
import type {DumpSource, Repository, Snapshot, SnapshotFacts} from '../../../src/sidecar/repository.js';
import {ownRuntime} from '../../helpers/own-runtime.js';
import {plainRepository} from '../../helpers/plain-repository.js';
import {asRoot} from '../../helpers/requires.js';

const own = ownRuntime();

async function aRepository(): Promise<{repository: Repository; directory: string}> {
  const directory = mkdtempSync(join(own.folder, 'repository-'));
  return {repository: plainRepository(directory, await own.runtime), directory};
}

async function aVolume(name: string, files: Readonly<Record<string, string>>): Promise<Volume> {
  const volume = await Volume.create({name}, {runtime: await own.runtime});
  for (const [file, text] of Object.entries(files)) writeFileSync(join(volume.mountpoint, file), text);
  return volume;
}

/** Of a volume as it is. */
async function save(
  repository: Repository,
  volume: string,
  facts: Partial<SnapshotFacts> = {},
): Promise<Snapshot> {
  const {snapshot} = await repository.backup([{kind: 'volume', name: volume, volume}], {
    released: async () => {},
    facts: () => ({
      time: new Date().toISOString(),
      host: 'here',
      tags: [],
      consistency: 'none',
      paused: [],
      pausedMs: 0,
      applications: [
        {name: 'app', image: 'host-shell', argv: ['sleep', '1000'], targets: {[volume]: '/data'}},
      ],
      ...facts,
    }),
  });
  return snapshot;
}

async function volumes(): Promise<readonly string[]> {
  return (await Volume.list({runtime: await own.runtime})).map(({name}) => name);
}

asRoot('restore makes a volume of the latest snapshot, with its root directory as it was', async t => {
  const runtime = await own.runtime;
  const {repository} = await aRepository();
  const {mountpoint} = await aVolume('first', {file: 'older'});
  chownSync(mountpoint, 999, 998);
  chmodSync(mountpoint, 0o700);
  const older = await save(repository, 'first', {time: '2026-01-01T00:00:00Z'});
  writeFileSync(join(mountpoint, 'file'), 'newer');
  await save(repository, 'first', {time: '2026-01-02T00:00:00Z'});
  const restored = await restore('second', {repository, labels: {a: 'b'}}, {runtime});
  t.like(restored, {
    volume: 'second',
    part: 'first',
    time: '2026-01-02T00:00:00Z',
    replaced: false,
    entries: 2,
  });
  const second = await Volume.get('second', {runtime});
  t.is(readFileSync(join(second.mountpoint, 'file'), 'utf8'), 'newer');
  t.deepEqual(second.labels, {a: 'b'});
  await t.throwsAsync(restore('second', {repository, snapshot: older.id.slice(0, 8)}, {runtime}), {
    code: 'ERR_VOLUME_NOT_EMPTY',
  });
  const dry = await restore(
    'second',
    {repository, replace: true, dryRun: true, snapshot: older.id},
    {runtime},
  );
  t.like(dry, {replaced: true, dryRun: true, entries: 2, bytes: 5});
  t.is(readFileSync(join(second.mountpoint, 'file'), 'utf8'), 'newer');
  const replaced = await restore('second', {repository, snapshot: older.id, replace: true}, {runtime});
  t.true(replaced.replaced);
  t.is(readFileSync(join(second.mountpoint, 'file'), 'utf8'), 'older');
});

asRoot('a restore that fails leaves the volume, and of a new one nothing', async t => {
  const runtime = await own.runtime;
  const {repository} = await aRepository();
  const {mountpoint} = await aVolume('kept', {file: 'kept'});
  await save(repository, 'kept');
  const failing: Repository = {
    ...repository,
    restore: async (_, __, directory) => {
      writeFileSync(join(directory, 'half'), '');
      throw new Error('the line was cut');
    },
  };
  for (const name of ['kept', 'never'])
    await t.throwsAsync(restore(name, {repository: failing, replace: true}, {runtime}), {
      message: 'the line was cut',
    });
  t.deepEqual(readdirSync(mountpoint), ['file']);
  t.false((await volumes()).includes('never'));
});

asRoot('single paths come into a new volume, and not over what there is', async t => {
  const runtime = await own.runtime;
  const {repository} = await aRepository();
  await aVolume('paths', {a: 'a', b: 'b'});
  await save(repository, 'paths');
  await restore('paths-of-a', {repository, paths: ['a']}, {runtime});
  t.deepEqual(readdirSync((await Volume.get('paths-of-a', {runtime})).mountpoint), ['a']);
  await t.throwsAsync(restore('paths', {repository, paths: ['a'], replace: true}, {runtime}), {
    code: 'ERR_UNSUPPORTED_OPTION',
  });
});

asRoot('snapshots are named by the beginning of their ids, or as the latest', async t => {
  const runtime = await own.runtime;
  const {repository} = await aRepository();
  await aVolume('named', {a: 'a'});
  const {id} = await save(repository, 'named');
  for (const [snapshot, message] of [
    ['0123456789', /has no snapshot 0123456789/],
    ['xyz', /is no snapshot's id/],
    [id.slice(0, 3), /four to 64/],
  ] as const)
    await t.throwsAsync(restore('other', {repository, snapshot}, {runtime}), {
      code: 'ERR_SNAPSHOT_NOT_FOUND',
      message,
    });
  await t.throwsAsync(restore('other', {repository, host: 'elsewhere'}, {runtime}), {
    message: 'the repository has no snapshot by elsewhere',
  });
  await t.throwsAsync(restore('other', {repository, part: 'nothing'}, {runtime}), {
    message: 'the repository has no snapshot of nothing',
  });
});

asRoot('forget verifies the newest snapshot before it removes older ones, once', async t => {
  const {repository} = await aRepository();
  const {mountpoint} = await aVolume('thinned', {a: 'a'});
  const ids: string[] = [];
  for (const day of [1, 2, 3]) {
    writeFileSync(join(mountpoint, 'a'), `${day}`);
    ids.push((await save(repository, 'thinned', {time: `2026-01-0${day}T00:00:00Z`})).id);
  }
  const dry = await forget(repository, {keep: {last: 2}, dryRun: true});
  t.deepEqual(dry.verified, [ids[2]!]);
  t.deepEqual(
    dry.groups[0]!.removed.map(({id}) => id),
    [ids[0]!],
  );
  t.is((await repository.snapshots()).length, 3);
  t.deepEqual((await forget(repository, {keep: {last: 2}})).verified, [ids[2]!]);
  t.like((await repository.results())[0], {kind: 'verify', snapshot: ids[2]!, passed: true});
  const again = await forget(repository, {keep: {last: 1}, prune: true});
  t.deepEqual(again.verified, []);
  t.is(again.freedBytes, 2);
  t.deepEqual(
    (await repository.snapshots()).map(({id}) => id),
    [ids[2]!],
  );
  t.deepEqual((await forget(repository, {keep: {last: 1}})).groups[0]!.removed, []);
});

asRoot('forget removes nothing while the newest snapshot that stays is damaged', async t => {
  const {repository, directory} = await aRepository();
  await aVolume('damaged', {a: 'a'});
  const older = await save(repository, 'damaged', {time: '2026-01-01T00:00:00Z'});
  const newer = await save(repository, 'damaged', {time: '2026-01-02T00:00:00Z'});
  await verify(repository);
  appendFileSync(join(directory, newer.id, 'damaged', 'a'), '!');
  const report = await verify(repository);
  t.deepEqual(report.problems, [
    {subject: `${newer.id}/damaged`, what: 'is not what was written', snapshots: [newer.id]},
  ]);
  for (const choice of [{keep: {last: 1}}, {snapshots: [older.id]}])
    await t.throwsAsync(forget(repository, choice), {
      code: 'ERR_SNAPSHOT_UNVERIFIED',
      message: /^nothing was forgotten: the newest snapshot that would stay is damaged/,
    });
  t.is((await repository.snapshots()).length, 2);
  await forget(repository, {snapshots: [newer.id.slice(0, 10)]}); // a newer one may go
  t.deepEqual(
    (await repository.snapshots()).map(({id}) => id),
    [older.id],
  );
});

asRoot.serial('a drill restores, compares, starts the application on it, and keeps the result', async t => {
  const runtime = await own.runtime;
  const {repository} = await aRepository();
  await aVolume('drilled', {file: 'content'});
  const {id} = await save(repository, 'drilled');
  const before = await volumes();
  const check = 'test "$(cat /data/file)" = content && touch /data/written && echo fine';
  const report = await drill({repository, check}, {runtime});
  t.like(report, {snapshot: id, passed: true});
  t.regex(
    report.notes.join('\n'),
    /^drilled: 2 entries restored, 7 bytes, the same as saved\ncheck .*: fine$/,
  );
  t.like((await repository.results())[0], {kind: 'drill', snapshot: id, passed: true, notes: report.notes});
  t.deepEqual(await volumes(), before);
  t.deepEqual(await Container.list({runtime}), []);
  t.false(readdirSync((await Volume.get('drilled', {runtime})).mountpoint).includes('written'));
});

asRoot.serial(
  'a drill fails when the check does, when the application ends, and when the tree is another',
  async t => {
    const runtime = await own.runtime;
    const {repository, directory} = await aRepository();
    await aVolume('failing', {file: 'content'});
    const {id} = await save(repository, 'failing');
    const before = await volumes();
    const timeoutMs = 300;
    const failed = async (options: Partial<Parameters<typeof drill>[0]>) => {
      const {passed, notes} = await drill({repository, timeoutMs, ...options}, {runtime});
      t.false(passed);
      return notes.at(-1);
    };
    t.is(await failed({check: 'exit 3', timeoutMs: 2_000}), 'no success in time');
    t.regex((await repository.results())[0]!.notes[1]!, /^check ended with code 3$/);
    const alone = {checkAlone: true, timeoutMs: 60_000};
    t.is(
      await failed({check: 'echo no such table >&2; exit 4', ...alone}),
      'check ended with code 4: no such table',
    );
    const ending = {command: ['sh', '-c', 'echo corrupt; exit 5'], timeoutMs: 60_000};
    t.is(await failed({check: 'false', ...ending}), 'the application ended with code 5: corrupt');
    appendFileSync(join(directory, id, 'failing', 'file'), '!');
    t.regex((await failed({check: 'true'}))!, /^failing: 2 entries with 8 bytes came back of 2 with 7$/);
    writeFileSync(join(directory, id, 'failing', 'file'), 'CONTENT');
    t.regex((await failed({}))!, /^failing: the tree is [\da-f]+, and was [\da-f]+$/);
    t.deepEqual(await volumes(), before);
    t.deepEqual(await Container.list({runtime}), []);
    await t.throwsAsync(drill({repository, check: 'true', image: 'nobody/has-it'}, {runtime}), {
      code: 'ERR_IMAGE_NOT_FOUND',
    });
  },
);

asRoot.serial('a check of a snapshot of dumps alone reads each of them', async t => {
  const runtime = await own.runtime;
  const {repository} = await aRepository();
  const dump = (name: string, text: string): DumpSource => ({
    kind: 'dump',
    name,
    open: async function* () {
      yield Buffer.from(text);
    },
  });
  const dumps = [dump('one.sql', 'create table one;'), dump('two.sql', 'create table two;')];
  await t.throwsAsync(backup({dumps}, {repository, drill: {check: 'cat'}}, {runtime}), {
    code: 'ERR_INVALID_OPTION',
    message: 'the snapshot has dumps alone, and no container that the check could be run in',
  });
  const image = 'host-shell';
  const {drill: done} = await backup({dumps}, {repository, drill: {check: 'cat', image}}, {runtime});
  t.true(done!.passed);
  t.deepEqual(done!.notes.slice(2), ['one.sql: check ended with code 0', 'two.sql: check ended with code 0']);
  const failed = await drill(
    {repository, image, check: 'grep two || { echo no two >&2; exit 3; }'},
    {runtime},
  );
  t.false(failed.passed);
  t.is(failed.notes.at(-1), 'one.sql: check ended with code 3: no two');
  const late = await drill({repository, image, check: 'sleep 1000', timeoutMs: 500}, {runtime});
  t.is(late.notes.at(-1), 'one.sql: no success in time');
  t.deepEqual(await Container.list({runtime}), []);
});
