// Saves a volume while a container writes to it, brings it back as another one, and reads that.
// Run as root: node examples/backup-volume.mjs
import {mkdtemp, rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {Container, Volume} from 'coracle';
import {backupVolume, restoreVolume} from 'coracle/sidecar';

const data = await Volume.create({name: 'example-data'});
const folder = await mkdtemp(join(tmpdir(), 'backup-'));
const writer = await Container.run('host-shell', {
  command: ['sh', '-c', 'echo kept >/data/note; echo ready; exec sleep 1000'],
  mounts: [{type: 'volume', name: data.name, target: '/data'}],
});
try {
  await writer.waitFor({log: /ready/});
  const file = join(folder, 'data.tar.zst');
  const {entries, paused} = await backupVolume(data.name, file);
  console.log(`${entries} entries saved and read back, ${paused.length} container stood still`);

  await restoreVolume('example-restored', file);
  const reader = await Container.run('host-shell', {
    command: ['cat', '/data/note'],
    mounts: [{type: 'volume', name: 'example-restored', target: '/data', readOnly: true}],
  });
  for await (const bytes of reader.stdout) process.stdout.write(bytes);
  await reader.settled;
} finally {
  await writer[Symbol.asyncDispose]();
  for (const name of ['example-restored', data.name]) {
    await (await Volume.get(name).catch(() => undefined))?.remove();
  }
  await rm(folder, {recursive: true});
}
