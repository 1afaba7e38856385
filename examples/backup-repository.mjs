// Saves a volume in an encrypted repository, again after a change, proves it by a drill, loses it, and brings it back.
// Run as root: node examples/backup-repository.mjs
import {mkdtemp, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {Container, Volume} from 'coracle';
import {backup, forget, openRepository, restore} from 'coracle/sidecar';

const name = 'example-notes';
const folder = await mkdtemp(join(tmpdir(), 'repository-'));
const run = async script => {
  const mounts = [{type: 'volume', name, target: '/data'}];
  const job = await Container.run('host-shell', {command: ['sh', '-c', script], mounts});
  for await (const bytes of job.stdout) process.stdout.write(bytes);
  await job.settled;
};
let repository;
try {
  await writeFile(join(folder, 'key'), 'correct horse battery staple', {mode: 0o600});
  repository = await openRepository(join(folder, 'repo'), {
    create: true,
    key: {file: join(folder, 'key')},
  });

  await run('echo first >/data/note');
  await backup({volumes: [name]}, {repository, tags: ['example']});
  await run('echo second >/data/note');
  const check = {
    check: 'test "$(cat /data/note)" = second',
    checkAlone: true,
    image: 'host-shell',
    targets: {[name]: '/data'},
  };
  const {snapshot, drill} = await backup({volumes: [name]}, {repository, drill: check});
  console.log(`the drill ${drill.passed ? 'passed' : 'failed'}: ${drill.notes.length} steps`);

  await (await Volume.get(name)).remove();
  const {entries} = await restore(name, {repository, snapshot: snapshot.id});
  console.log(`${entries} entries came back`);
  await run('cat /data/note');

  const {groups} = await forget(repository, {keep: {last: 1}, prune: true});
  console.log(`${groups[0].removed.length} older snapshot was forgotten`);
} finally {
  await repository?.[Symbol.asyncDispose]();
  await (await Volume.get(name).catch(() => undefined))?.remove();
  await rm(folder, {recursive: true});
}
