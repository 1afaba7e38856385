import {execFileSync} from 'node:child_process';
import {existsSync, lstatSync, readFileSync, realpathSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import test from 'ava';
import {parseReference} from '../../src/oci/index.js';
import {readElf} from '../../src/store/elf.js';
import {findLibraries} from '../../src/store/find-libraries.js';
import {hostShell, Store} from '../../src/store/index.js';
import {inChunks, isRoot, scratch, tar} from './archives.js';

async function openStore() {
  const place = scratch();
  const store = await Store.open({root: join(place.path, 'store'), run: join(place.path, 'run')});
  return Object.assign(place, {store});
}

for (const program of ['/bin/sh', '/bin/ls', process.execPath]) {
  test(`the libraries found for ${program} are those that ldd finds`, t => {
    const ldd = execFileSync('ldd', [program], {encoding: 'utf8'});
    const theirs = [...ldd.matchAll(/(\/\S+) \(0x/g)].map(match => realpathSync(match[1]!));
    const ours = findLibraries(program)
      .slice(1)
      .map(path => realpathSync(path));
    t.deepEqual([...new Set(ours)].sort(), [...new Set(theirs)].sort());
  });
}

test('a script brings its interpreter', t => {
  using place = scratch();
  const script = join(place.path, 'script');
  writeFileSync(script, '#!/bin/sh -e\necho hello\n');
  t.deepEqual(findLibraries(script).slice(0, 2), [script, '/bin/sh']);
});

test('a damaged program is refused, and what is no program at all is taken as it is', t => {
  const elf = readFileSync('/bin/sh');
  const readFrom = (bytes: Buffer) => (offset: number, length: number) =>
    bytes.subarray(offset, offset + length);
  t.is(readElf(readFrom(Buffer.from('text')), 'text'), undefined);
  for (const length of [64, 200, 1000]) {
    t.throws(() => readElf(readFrom(elf.subarray(0, length)), 'cut'), {code: 'ERR_UNSUPPORTED_BINARY'});
  }
  const is32Bit = Buffer.from(elf);
  is32Bit[4] = 1;
  t.throws(() => readElf(readFrom(is32Bit), 'old'), {code: 'ERR_UNSUPPORTED_BINARY', message: /64-bit/});
});

const asRoot = isRoot ? test : test.skip;

asRoot('node runs in an image made of this host, with nothing else of the host in it', async t => {
  using place = await openStore();
  const image = await place.store.imageFromHost({
    name: 'node-worker',
    binaries: [process.execPath],
    env: {A: 'b'},
  });
  t.deepEqual(image.config.Cmd, [process.execPath]);
  t.true(image.config.Env?.includes('A=b'));
  t.regex(image.passwd, /^root:x:0:0:/);
  const script = 'console.log(process.version, require("fs").readdirSync("/etc").join())';
  const output = execFileSync('chroot', [image.layers[0]!, process.execPath, '-e', script], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  t.is(output.trim(), `${process.version} group,ld.so.cache,nsswitch.conf,passwd`);
  t.is(lstatSync(join(image.layers[0]!, 'tmp')).mode & 0o7777, 0o1777);
});

test('an image of the host is made again only when a file changed', async t => {
  using place = await openStore();
  const script = join(place.path, 'script');
  writeFileSync(script, '#!/bin/sh\n', {mode: 0o755});
  const options = {name: 'scripted', binaries: ['sh'], files: [script]};
  const first = await place.store.imageFromHost(options);
  const again = await place.store.imageFromHost({...options, name: 'other'});
  t.is(again.id, first.id);
  t.deepEqual(again.repoTags, ['other:latest', 'scripted:latest']);
  writeFileSync(script, '#!/bin/sh\necho changed\n');
  const changed = await place.store.imageFromHost(options);
  t.not(changed.id, first.id);
  t.is(readFileSync(join(changed.layers[0]!, script), 'utf8'), '#!/bin/sh\necho changed\n');
});

asRoot('host-shell has a shell under both of its paths', async t => {
  using place = await openStore();
  const image = await place.store.imageFromHost(hostShell());
  const output = execFileSync(
    'chroot',
    [image.layers[0]!, '/bin/sh', '-c', 'echo one two | wc -w && id -u'],
    {encoding: 'utf8'},
  );
  t.is(output, '2\n0\n');
  t.deepEqual(image.repoTags, ['host-shell:latest']);
});

test('programs and files that this host lacks are named', async t => {
  using place = await openStore();
  const {store} = place;
  await t.throwsAsync(store.imageFromHost({name: 'x', binaries: ['no-such-program']}), {
    code: 'ERR_BINARY_NOT_FOUND',
    message: /no-such-program/,
  });
  await t.throwsAsync(store.imageFromHost({name: 'x', binaries: []}), {code: 'ERR_INVALID_OPTION'});
  await t.throwsAsync(store.imageFromHost({name: 'x', binaries: ['sh'], files: ['/nope']}), {
    code: 'ERR_FILE_NOT_FOUND',
  });
  await t.throwsAsync(store.imageFromHost({name: 'Bad', binaries: ['sh']}), {code: 'ERR_INVALID_REFERENCE'});
});

test("hello-world is made on first use, and a user's own image of that name is left alone", async t => {
  using place = await openStore();
  const {store} = place;
  t.is(await store.ensureBuiltInImage('alpine'), undefined);
  const made = await store.ensureBuiltInImage('hello-world');
  t.deepEqual(made!.repoTags, ['hello-world:latest']);
  t.is(lstatSync(join(made!.layers[0]!, 'hello')).mode & 0o777, 0o755);
  t.is((await store.ensureBuiltInImage('docker.io/library/hello-world:latest'))!.id, made!.id);
  const own = await store.importImage(inChunks(tar({path: 'hello', content: 'x'})), {
    reference: parseReference('hello-world'),
  });
  t.is((await store.ensureBuiltInImage('hello-world'))!.id, own.id);
  t.true(existsSync(own.layers[0]!));
});
