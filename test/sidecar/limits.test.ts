/** What sidecars may take of the host is the caller's to say. */
import {mkdtempSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {Volume} from '../../src/index.js';
import {backup, backupVolume, openRepository, restore, restoreVolume} from '../../src/sidecar/index.js';
import {ownRuntime} from '../helpers/own-runtime.js';
import {asRoot, requiresAsRoot} from '../helpers/requires.js';

const own = ownRuntime();
const folder = () => mkdtempSync(join(own.folder, 'place-'));
/** Less than Node or restic begin with. */
const TIGHT = {memoryBytes: 6 * 1024 ** 2};
const LONG = process.env['CORACLE_TEST_LONG'] !== undefined;

async function aVolume(name: string): Promise<void> {
  const {mountpoint} = await Volume.create({name}, {runtime: await own.runtime});
  writeFileSync(join(mountpoint, 'file'), Buffer.alloc(1024 ** 2, name));
}

asRoot(
  'a sidecar that takes more memory than it may is killed, and nothing is saved or restored',
  async t => {
    const runtime = await own.runtime;
    await aVolume('tight');
    const repository = join(folder(), 'repo');
    const killed = {code: 'ERR_SIDECAR_FAILED', message: /^the sidecar: it was killed: out of memory/};
    const set = {volumes: ['tight']};
    await t.throwsAsync(backup(set, {repository, limits: TIGHT}, {runtime}), killed);
    await backup(set, {repository, limits: {memoryBytes: 512 * 1024 ** 2, cpus: 1.5}}, {runtime});
    await t.throwsAsync(restore('back', {repository, part: 'tight', limits: TIGHT}, {runtime}), killed);
    t.false((await Volume.list({runtime})).some(({name}) => name === 'back'));
    await using opened = await openRepository(repository, {limits: TIGHT}, {runtime});
    t.is((await opened.snapshots()).length, 1);
    await t.throwsAsync(backup(set, {repository: opened}, {runtime}), killed);
  },
);

requiresAsRoot('tar', 'tar')(
  'a limit that this host cannot enforce is refused before anything is read',
  async t => {
    const runtime = await own.runtime;
    await aVolume('unlimited');
    const [repository, file] = [join(folder(), 'repo'), join(folder(), 'x.tar')];
    const limits = {cpusetCpus: '4000'};
    const refused = {message: /4000/};
    await t.throwsAsync(backup({volumes: ['unlimited']}, {repository, limits}, {runtime}), refused);
    await t.throwsAsync(backupVolume('unlimited', file, {limits}, {runtime}), refused);
    await backupVolume('unlimited', file, {limits: {memoryBytes: 64 * 1024 ** 2, cpus: 0.5}}, {runtime});
    await t.throwsAsync(restoreVolume('from-file', file, {limits}, {runtime}), refused);
  },
);

if (LONG) {
  requiresAsRoot('restic', 'restic')('restic has its limits', async t => {
    const runtime = await own.runtime;
    await aVolume('by-restic');
    const repository = `restic:${join(folder(), 'repo')}`;
    const key = {secret: 'open sesame'};
    await t.throwsAsync(backup({volumes: ['by-restic']}, {repository, key, limits: TIGHT}, {runtime}), {
      code: 'ERR_SIDECAR_FAILED',
      message: /restic was killed: out of memory/,
    });
    await backup({volumes: ['by-restic']}, {repository, key, limits: {memoryBytes: 2 ** 30}}, {runtime});
  });
}
