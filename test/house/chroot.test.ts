/** Build machines work in chroots, whose root is a directory and no mount: pivot_root(2) refuses those. */
import {execFile} from 'node:child_process';
import {mkdir, mkdtemp, readdir, readlink, rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {dirname, join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {promisify} from 'node:util';
import {asRoot} from '../helpers/requires.js';

const PROJECT = fileURLToPath(new URL('../../', import.meta.url));

/** In a mount namespace of its own: $1 the new root, $2 this checkout, $3 the directory of node, then directories of the host to have in it. */
const SCRIPT = `
root=$1 project=$2 node=$3; shift 3
for directory; do mkdir "$root/$directory" && mount --rbind "/$directory" "$root/$directory"; done
mount --bind "$project" "$root/checkout"
mount --bind "$node" "$root/node"
exec chroot "$root" /node/node /checkout/bin/coracle.cjs run --rm host-shell sh -c 'readlink /proc/self/ns/pid; hostname'
`;

asRoot('containers start in a chroot', async t => {
  const root = await mkdtemp(join(tmpdir(), 'coracle-chroot-'));
  t.teardown(() => rm(root, {recursive: true, force: true}));
  for (const name of ['checkout', 'node', 'store', 'run', 'tmp']) await mkdir(join(root, name));
  const system = ['usr', 'etc', 'dev', 'proc', 'sys'];
  const libraries = (await readdir('/')).filter(name => /^s?bin$|^lib/.test(name));
  const outside = ['unshare', '--mount', '--propagation', 'private', 'sh', '-ec', SCRIPT, 'sh'];
  const [command = '', ...words] = [
    ...outside,
    ...[root, PROJECT, dirname(process.execPath)],
    ...system,
    ...libraries,
  ];
  const {stdout} = await promisify(execFile)(command, words, {
    env: {...process.env, CORACLE_ROOT: '/store', CORACLE_RUN: '/run'},
  });
  t.regex(stdout, /^pid:\[\d+\]\n[0-9a-f]{12}\n$/);
  t.not(stdout.split('\n')[0], await readlink('/proc/self/ns/pid'));
});
