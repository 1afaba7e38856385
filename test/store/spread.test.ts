import {execFileSync} from 'node:child_process';
import {mkdtempSync, rmSync} from 'node:fs';
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
  'ext4 is told that layers, volumes and roots, which are all made in one directory, have nothing to do with each other',
  async t => {
    const place = scratchFileSystem(t, folder, {type: 'ext4', size: '50M'});
    const store = await Store.open({root: join(place, 'root'), run: join(folder, 'run')});
    t.regex(flags(store.work), /T/);
    t.notRegex(flags(join(store.root, 'volumes')), /T/);
  },
);
