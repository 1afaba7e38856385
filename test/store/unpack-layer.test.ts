import {chmodSync, constants, lstatSync, readdirSync, readFileSync, readlinkSync} from 'node:fs';
import {join} from 'node:path';
import test from 'ava';
import {getXattrBelow, openDirectory, statBelow} from '../../src/binding/index.js';
import {LAYER_LIMITS, type LayerLimits} from '../../src/store/layer-limits.js';
import {unpackLayer} from '../../src/store/unpack-layer.js';
import {type Entry, inChunks, isRoot, scratch, tar} from './archives.js';

async function unpack(path: string, archive: Uint8Array, limits: Partial<LayerLimits> = {}) {
  using root = openDirectory(path);
  return await unpackLayer(inChunks(archive), root.fd, {
    asRoot: isRoot,
    limits: {...LAYER_LIMITS, ...limits},
  });
}

const OUT = '../outside/canary';

/** One row per class of attack: what the archive holds, and the words of the refusal. */
const hostile: Record<string, [Entry[], RegExp]> = {
  'a path with ".."': [[{path: OUT, content: 'dead'}], /has "\.\."/],
  'a path with ".." in the middle': [[{path: 'a/../../outside/canary', content: 'dead'}], /has "\.\."/],
  'a symlink, then a file through it': [
    [
      {path: 'out', type: 'symlink', target: '../outside'},
      {path: 'out/canary', content: 'dead'},
    ],
    /through the symlink "out"/,
  ],
  'an absolute symlink, then a directory through it': [
    [
      {path: 'out', type: 'symlink', target: '/tmp'},
      {path: 'out/made', type: 'directory'},
    ],
    /through the symlink/,
  ],
  'a symlink inside, then a file through it': [
    [
      {path: 'real', type: 'directory'},
      {path: 'alias', type: 'symlink', target: 'real'},
      {path: 'alias/file', content: 'x'},
    ],
    /through the symlink/,
  ],
  'a chain of symlinks': [
    [
      {path: 'a', type: 'symlink', target: '..'},
      {path: 'b', type: 'symlink', target: 'a/outside'},
      {path: 'b/canary', content: 'dead'},
    ],
    /through the symlink/,
  ],
  'a hard link to a path with ".."': [
    [{path: 'stolen', type: 'link', target: OUT}],
    /link target .* has "\.\."/,
  ],
  'a hard link to an absolute path of the host': [
    [{path: 'stolen', type: 'link', target: '/etc/passwd'}],
    /no file of the layer/,
  ],
  'a hard link through a symlink': [
    [
      {path: 'out', type: 'symlink', target: '/etc'},
      {path: 'stolen', type: 'link', target: 'out/passwd'},
    ],
    /no file of the layer|through the symlink/,
  ],
  'a hard link to a directory': [
    [
      {path: 'd', type: 'directory'},
      {path: 'stolen', type: 'link', target: 'd'},
    ],
    /no file of the layer/,
  ],
  'a root that is a symlink': [[{path: '.', type: 'symlink', target: '/etc'}], /root is a symlink/],
  'a root that is a file': [[{path: './', content: 'x', type: 'fifo'}], /root is a fifo/],
  'a root that is a hard link': [[{path: '/', type: 'link', target: 'x'}], /root is a link/],
  'a file in place of a parent directory': [
    [
      {path: 'a', content: 'x'},
      {path: 'a/b', content: 'x'},
    ],
    /"a" is no directory/,
  ],
  'a whiteout without a name': [[{path: 'd/.wh.'}], /no whiteout/],
  'a whiteout of the directory itself': [[{path: 'd/.wh..'}], /no whiteout/],
  'a whiteout of the parent': [[{path: 'd/.wh...'}], /no whiteout/],
  'a whiteout through a symlink': [
    [{path: 'out', type: 'symlink', target: '../outside'}, {path: 'out/.wh.canary'}],
    /through the symlink/,
  ],
  'an opaque marker through a symlink': [
    [{path: 'out', type: 'symlink', target: '../outside'}, {path: 'out/.wh..wh..opq'}],
    /through the symlink/,
  ],
  'a user id above 2^31 - 2': [[{path: 'f', content: 'x', uid: 2 ** 31}], /ids above/],
  'the group id that means "unchanged"': [[{path: 'f', content: 'x', gid: 2 ** 32 - 1}], /ids above/],
  'an attribute that redirects a directory': [
    [{path: 'd', type: 'directory', xattrs: new Map([['trusted.overlay.redirect', Buffer.from('/x')]])}],
    /steers overlayfs/,
  ],
  'an attribute of the unprivileged overlay': [
    [{path: 'd', type: 'directory', xattrs: new Map([['user.overlay.opaque', Buffer.from('y')]])}],
    /steers overlayfs/,
  ],
  'a device that is a whiteout in disguise': [
    [{path: 'w', type: 'character-device'}],
    /takes for a whiteout/,
  ],
  'a name of 256 bytes': [[{path: 'n'.repeat(256), content: 'x'}], /ENAMETOOLONG/],
  'a path of 5,000 bytes': [[{path: 'directory/'.repeat(500), type: 'directory'}], /ENAMETOOLONG|components/],
  'a symlink to nothing': [[{path: 's', type: 'symlink'}], /symlink to nothing/],
};

for (const [name, [entries, because]] of Object.entries(hostile)) {
  test(`a layer is refused that has ${name}`, async t => {
    using place = scratch();
    const error = await t.throwsAsync(unpack(place.path, tar(...entries)), {message: because});
    t.regex((error as {code?: string}).code ?? '', /^ERR_(INVALID_LAYER|LAYER_TOO_LARGE)$/);
    t.is(readFileSync(join(place.outside, 'canary'), 'utf8'), 'alive');
    t.deepEqual(readdirSync(place.outside), ['canary']);
    t.is(lstatSync(join(place.outside, 'canary')).nlink, 1);
  });
}

test('an absolute path is unpacked below the root', async t => {
  using place = scratch();
  await unpack(place.path, tar({path: `${place.outside}/canary`, content: 'inside'}));
  t.is(readFileSync(join(place.outside, 'canary'), 'utf8'), 'alive');
  t.is(readFileSync(join(place.path, place.outside, 'canary'), 'utf8'), 'inside');
});

test('a file that replaces a symlink does not write through it', async t => {
  using place = scratch();
  await unpack(
    place.path,
    tar({path: 'f', type: 'symlink', target: `${place.outside}/canary`}, {path: 'f', content: 'new'}),
  );
  t.is(readFileSync(join(place.outside, 'canary'), 'utf8'), 'alive');
  t.is(readFileSync(join(place.path, 'f'), 'utf8'), 'new');
});

test('a directory that replaces a symlink is a directory of its own', async t => {
  using place = scratch();
  await unpack(
    place.path,
    tar(
      {path: 'd', type: 'symlink', target: '../outside'},
      {path: 'd', type: 'directory'},
      {path: 'd/canary', content: 'x'},
    ),
  );
  t.is(readFileSync(join(place.outside, 'canary'), 'utf8'), 'alive');
  t.true(lstatSync(join(place.path, 'd')).isDirectory());
});

test('a symlink is kept as it is written, wherever it leads', async t => {
  using place = scratch();
  await unpack(place.path, tar({path: 's', type: 'symlink', target: '../../../etc/passwd'}));
  t.is(readlinkSync(join(place.path, 's')), '../../../etc/passwd');
});

test('a file that replaces a hard link leaves the other name alone', async t => {
  using place = scratch();
  await unpack(
    place.path,
    tar({path: 'a', content: 'one'}, {path: 'b', type: 'link', target: 'a'}, {path: 'b', content: 'two'}),
  );
  t.is(readFileSync(join(place.path, 'a'), 'utf8'), 'one');
  t.is(readFileSync(join(place.path, 'b'), 'utf8'), 'two');
});

test('hard links share a file', async t => {
  using place = scratch();
  await unpack(place.path, tar({path: 'd/a', content: 'one'}, {path: './b', type: 'link', target: '/d/a'}));
  t.is(lstatSync(join(place.path, 'b')).ino, lstatSync(join(place.path, 'd/a')).ino);
});

const limits: [string, Partial<LayerLimits>, Entry[], RegExp][] = [
  ['entries', {entries: 2}, [{path: 'a'}, {path: 'b'}, {path: 'c'}], /more than 2 entries/],
  ['depth', {depth: 3}, [{path: 'a/b/c/d'}], /more than 3 components/],
  ['bytes of a file', {fileBytes: 3}, [{path: 'a', content: 'four'}], /more than 3 bytes in a file/],
  [
    'bytes',
    {totalBytes: 5},
    [
      {path: 'a', content: 'four'},
      {path: 'b', content: 'four'},
    ],
    /more than 5 bytes/,
  ],
];
for (const [name, limit, entries, because] of limits) {
  test(`a layer is refused that is over its limit of ${name}`, async t => {
    using place = scratch();
    const expected = {code: 'ERR_LAYER_TOO_LARGE', message: because};
    await t.throwsAsync(unpack(place.path, tar(...entries), limit), expected);
  });
}

test('names that are not UTF-8 are kept byte for byte', async t => {
  using place = scratch();
  const name = Buffer.from([0x6e, 0xff, 0xc3, 0x28]);
  await unpack(place.path, tar({path: name, content: 'x'}));
  t.deepEqual(readdirSync(place.path, {encoding: 'buffer'}), [name]);
});

test('names of 255 bytes and paths over 100 bytes are kept', async t => {
  using place = scratch();
  const path = `${'d'.repeat(200)}/${'e'.repeat(200)}/${'f'.repeat(255)}`;
  await unpack(place.path, tar({path, content: 'deep'}));
  t.is(readFileSync(join(place.path, path), 'utf8'), 'deep');
});

test('modes, set-id bits and nanoseconds are kept, before 1970 too', async t => {
  using place = scratch();
  const mtimeNs = -1_500_000_001n;
  await unpack(
    place.path,
    tar(
      {path: 'd', type: 'directory', mode: 0o1777, mtimeNs},
      {path: 'd/setuid', content: 'x', mode: 0o4755, mtimeNs},
      {path: 'closed', type: 'directory', mode: 0o500, mtimeNs},
      {path: 'closed/f', content: 'x', mode: 0},
      {path: 'fifo', type: 'fifo', mode: 0o620, mtimeNs},
    ),
  );
  using root = openDirectory(place.path);
  const modes = ['d', 'd/setuid', 'closed', 'closed/f', 'fifo'].map(
    path => statBelow(root.fd, path).mode & 0o7777,
  );
  t.deepEqual(modes, [0o1777, 0o4755, 0o500, 0, 0o620]);
  for (const path of ['d', 'd/setuid', 'closed', 'fifo'])
    t.is(statBelow(root.fd, path).mtimeNs, mtimeNs, path);
  chmodSync(join(place.path, 'closed'), 0o700);
});

test("the root's own mode is the archive's, 0755 without one", async t => {
  using place = scratch();
  await unpack(place.path, tar({path: 'f', content: 'x'}));
  t.is(lstatSync(place.path).mode & 0o7777, 0o755);
  await unpack(place.path, tar({path: './', type: 'directory', mode: 0o711}));
  t.is(lstatSync(place.path).mode & 0o7777, 0o711);
});

test('a whiteout hides what is below, not what the layer itself has', async t => {
  using place = scratch();
  await unpack(
    place.path,
    tar(
      {path: 'd/.wh.gone'},
      {path: 'd/kept', content: 'x'},
      {path: 'd/.wh.kept'},
      {path: '.wh.replaced'},
      {path: 'replaced', type: 'directory'},
      {path: '.wh.filled'},
      {path: 'filled/f', content: 'x'},
      {path: 'opaque/.wh..wh..opq'},
      {path: 'opaque/.wh..wh.aufs'},
    ),
  );
  using root = openDirectory(place.path);
  const gone = statBelow(root.fd, 'd/gone');
  t.is(gone.mode & constants.S_IFMT, constants.S_IFCHR);
  t.deepEqual([gone.deviceMajor, gone.deviceMinor], [0, 0]);
  t.is(readFileSync(join(place.path, 'd/kept'), 'utf8'), 'x');
  const attribute = `${isRoot ? 'trusted' : 'user'}.overlay.opaque`;
  for (const path of ['replaced', 'filled', 'opaque']) {
    t.is(getXattrBelow(root.fd, path, attribute)?.toString(), 'y', path);
  }
  t.is(getXattrBelow(root.fd, 'd', attribute), undefined);
  t.deepEqual(readdirSync(join(place.path, 'opaque')), []);
});

const asRoot = isRoot ? test : test.skip;

asRoot('owners, devices and binary attributes are kept when root unpacks', async t => {
  using place = scratch();
  const capability = Buffer.from('0100000200200000000000000000000000000000', 'hex');
  const acl = Buffer.from(
    '0200000001000600ffffffff02000400e703000004000400ffffffff10000400ffffffff20000000ffffffff',
    'hex',
  );
  await unpack(
    place.path,
    tar(
      {
        path: 'ping',
        content: 'x',
        mode: 0o755,
        uid: 1000,
        gid: 100_000,
        xattrs: new Map([['security.capability', capability]]),
      },
      {path: 'acl', content: 'x', xattrs: new Map([['system.posix_acl_access', acl]])},
      {path: 'null', type: 'character-device', mode: 0o666, deviceMajor: 1, deviceMinor: 3},
      {path: 'link', type: 'symlink', target: 'ping', uid: 7, gid: 8},
    ),
  );
  using root = openDirectory(place.path);
  const ping = statBelow(root.fd, 'ping');
  t.deepEqual([ping.uid, ping.gid], [1000, 100_000]);
  t.deepEqual(getXattrBelow(root.fd, 'ping', 'security.capability'), capability);
  t.deepEqual(getXattrBelow(root.fd, 'acl', 'system.posix_acl_access'), acl);
  const device = statBelow(root.fd, 'null');
  t.deepEqual([device.deviceMajor, device.deviceMinor, device.mode & 0o7777], [1, 3, 0o666]);
  t.is(statBelow(root.fd, 'link').uid, 7);
});

test('an abort stops between two entries', async t => {
  using place = scratch();
  using root = openDirectory(place.path);
  const options = {asRoot: isRoot, signal: AbortSignal.abort(new Error('enough'))};
  await t.throwsAsync(unpackLayer(inChunks(tar({path: 'a'})), root.fd, options), {message: 'enough'});
});
