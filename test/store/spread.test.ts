import {execFileSync} from 'node:child_process';
import {mkdtempSync, rmSync, statSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import test from 'ava';
import {Store} from '../../src/store/index.js';
import {requiresAsRoot} from '../helpers/requires.js';
import {scratchFileSystem} from '../helpers/scratch-file-system.js';

const folder = mkdtempSync(join(tmpdir(), 'coracle-test-'));
test.after.always(() => rmSync(folder, {recursive: true, force: true}));

/** Of a directory, as lsattr(1) prints them. */
const flags = (path: string) => execFileSync('lsattr', ['-d', path], {encoding: 'utf8'}).split(' ')[0]!;

requiresAsRoot('/usr/sbin/mkfs.ext4', 'e2fsprogs')(
  'on ext4 layers and volumes get places apart, however much was removed a moment ago',
  async t => {
    const place = scratchFileSystem(t, folder, {type: 'ext4', size: '8G'});
    const store = await Store.open({root: join(place, 'root'), run: join(folder, 'run')});
    t.regex(flags(store.work), /T/);
    t.notRegex(flags(join(store.root, 'volumes')), /T/);
    const inodes: number[] = [];
    for (let count = 0; count < 8; count++) {
      const {Mountpoint} = await store.volumes.create();
      inodes.push(statSync(Mountpoint).ino);
    }
    t.true(Math.max(...inodes) - Math.min(...inodes) > INODES_OF_A_GROUP, inodes.join());
  },
);

/** mkfs.ext4's for 8 GB, of 64 groups. Without the flag all would be in the first. */
const INODES_OF_A_GROUP = 8192;
