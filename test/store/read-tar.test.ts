import {execFileSync} from 'node:child_process';
import {createReadStream} from 'node:fs';
import {join} from 'node:path';
import {gzipSync} from 'node:zlib';
import test from 'ava';
import {decompress} from '../../src/store/decompress.js';
import {LAYER_LIMITS} from '../../src/store/layer-limits.js';
import {readTar} from '../../src/store/read-tar.js';
import {tarHeader} from '../../src/store/write-tar.js';
import {requires} from '../helpers/requires.js';
import {inChunks, scratch, tar, tarEntry} from './archives.js';

async function names(archive: AsyncIterable<Uint8Array>) {
  const found: string[] = [];
  for await (const entry of readTar(archive)) found.push(`${entry.type} ${entry.path}`);
  return found;
}

const refuses = test.macro({
  exec: async (t, _name: string, archive: Buffer, message: RegExp) => {
    await t.throwsAsync(names(inChunks(archive)), {code: 'ERR_INVALID_LAYER', message});
  },
  title: (_, name) => `an archive is refused: ${name}`,
});

function patched(offset: number, bytes: string): Buffer {
  const header = tarHeader({type: 'file', path: 'f'});
  header.write(bytes, offset, 'latin1');
  header.fill(' ', 148, 156);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return header;
}

function withPax(pax: string): Buffer {
  return Buffer.concat([extension('x', pax), tar({path: 'f', content: 'x'})]);
}

function extension(flag: string, content: string): Buffer {
  const entry = tarEntry({path: 'pax', content});
  entry.write(flag, 156);
  entry.fill(' ', 148, 156);
  const sum = entry.subarray(0, 512).reduce((total, byte) => total + byte, 0);
  entry.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return entry;
}

/** A record for each key, with a value of so many bytes. */
function extensionWith(flag: string, keys: readonly string[], bytes = 1): Buffer {
  const record = (rest: string) => {
    let length = rest.length;
    while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
    return `${length}${rest}`;
  };
  return extension(flag, keys.map(key => record(` ${key}=${'v'.repeat(bytes)}\n`)).join(''));
}

test(refuses, 'no tar', Buffer.from('<html>'.repeat(200)), /no tar archive/);
test(refuses, 'half a header', Buffer.alloc(100, 1), /cut short/);
test(refuses, 'half a file', tar({path: 'f', content: 'x'.repeat(2000)}).subarray(0, 1500), /cut short/);
test(refuses, 'a flipped bit in a header', tar({path: 'f'}).fill(0xff, 50, 51), /damaged/);
test(refuses, 'a size that is no number', patched(124, 'zzzzzzzzzzz'), /damaged size/);
test(refuses, 'a negative size', patched(124, '\xff'.repeat(12)), /the size -1/);
test(refuses, 'a size beyond 2^53', patched(124, `\x80${'\x7f'.repeat(11)}`), /the size/);
test(refuses, 'a sparse file', patched(156, 'S'), /unsupported type/);
test(
  refuses,
  'a PAX header of 8 GiB',
  Buffer.concat([patched(156, 'x').subarray(0, 0), pax8GiB()]),
  /header of 8589934591 bytes/,
);
test(
  refuses,
  'many PAX headers of a megabyte, whose records are all kept',
  Buffer.concat(Array.from({length: 3}, (_, index) => extensionWith('x', [`key${index}`], 500_000))),
  /headers of 1500000 bytes with 3 records/,
);
for (const flag of ['x', 'g'])
  test(
    refuses,
    `PAX headers (${flag}) with more records than an entry has attributes`,
    Buffer.concat(
      Array.from({length: 3}, (_, header) =>
        extensionWith(
          flag,
          Array.from({length: 800}, (_, key) => `${header}.${key}`),
        ),
      ),
    ),
    /with 2400 records/,
  );
test(refuses, 'a PAX record that is longer than its header', withPax('99 path=x\n'), /damaged PAX/);
test(refuses, 'a PAX record without an end', withPax('9 path=xx'), /damaged PAX/);
test(refuses, 'a PAX size that is no number', withPax('11 size=-1\n'), /the size -1/);
test(refuses, 'a PAX time that is no number', withPax('13 mtime=abc\n'), /time that is no number/);

function pax8GiB(): Buffer {
  const header = tarHeader({type: 'file', path: 'pax'});
  header.write('77777777777', 124, 'latin1');
  header.write('x', 156);
  header.fill(' ', 148, 156);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return header;
}

test('an archive may lack the empty blocks at its end, and may be empty', async t => {
  t.deepEqual(await names(inChunks(tarEntry({path: 'f', content: 'x'}))), ['file f']);
  t.deepEqual(await names(inChunks(Buffer.alloc(0))), []);
});

test('content that nobody reads is skipped', async t => {
  const archive = tar({path: 'big', content: 'x'.repeat(100_000)}, {path: 'next', content: 'y'});
  t.deepEqual(await names(inChunks(archive)), ['file big', 'file next']);
});

for (const format of ['gnu', 'pax', 'ustar', 'oldgnu', 'v7']) {
  const withTar = requires('tar', 'tar');
  withTar(`what tar writes in its ${format} format is read`, async t => {
    using place = scratch();
    const long = format === 'v7' || format === 'ustar' ? 'short' : 'l'.repeat(150);
    execFileSync(
      'sh',
      [
        '-c',
        `mkdir d && echo content > d/${long} && ln d/${long} hard && ln -s d/${long} soft && mkfifo pipe && touch -d '2001-02-03 04:05:06.789 UTC' d/${long}`,
      ],
      {cwd: place.path},
    );
    const file = join(place.outside, 'archive.tar');
    const members = format === 'v7' ? ['d', 'hard', 'soft'] : ['d', 'hard', 'soft', 'pipe'];
    execFileSync('tar', ['-cf', file, `--format=${format}`, ...members], {cwd: place.path});
    const found = new Map<string, {type: string; target: string; text: string; mtimeNs: bigint}>();
    for await (const entry of readTar(createReadStream(file))) {
      let text = '';
      for await (const chunk of entry.content()) text += chunk.toString();
      found.set(entry.path.toString(), {
        type: entry.type,
        target: entry.target.toString(),
        text,
        mtimeNs: entry.mtimeNs,
      });
    }
    t.is(found.get('d/')?.type, 'directory');
    t.is(found.get(`d/${long}`)?.text, 'content\n');
    t.is(
      found.get(`d/${long}`)?.mtimeNs,
      format === 'pax' ? 981_173_106_789_000_000n : 981_173_106_000_000_000n,
    );
    t.is(found.get('hard')?.target, `d/${long}`);
    t.is(found.get('soft')?.target, `d/${long}`);
    if (format !== 'v7') t.is(found.get('pipe')?.type, 'fifo');
  });
}

async function collect(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of source) chunks.push(chunk);
  return Buffer.concat(chunks);
}

const plain = Buffer.from('some text, not random at all\n'.repeat(20_000));

test('plain bytes and gzip are told apart by their first bytes', async t => {
  t.deepEqual(await collect(decompress(inChunks(plain))), plain);
  t.deepEqual(await collect(decompress(inChunks(gzipSync(plain)))), plain);
  t.deepEqual(
    await collect(decompress(inChunks(Buffer.concat([gzipSync(plain), gzipSync(plain)])))),
    Buffer.concat([plain, plain]),
  );
  t.deepEqual(await collect(decompress(inChunks(Buffer.alloc(0)))), Buffer.alloc(0));
});

const withZstd = requires('zstd', 'zstd');
withZstd('zstd is read with the library of the system', async t => {
  const zstd = (input: Buffer) => execFileSync('zstd', ['-c', '-q'], {input, maxBuffer: 1e8});
  t.deepEqual(await collect(decompress(inChunks(zstd(plain)))), plain);
  const empty = Buffer.alloc(50_000_000);
  t.true((await collect(decompress(inChunks(zstd(empty))))).equals(empty));
  t.deepEqual(
    await collect(decompress(inChunks(Buffer.concat([zstd(plain), zstd(plain)])))),
    Buffer.concat([plain, plain]),
  );
  const cut = zstd(plain);
  await t.throwsAsync(collect(decompress(inChunks(cut.subarray(0, cut.length - 10)))), {
    code: 'ERR_INVALID_LAYER',
  });
  cut.fill(0x55, 20, 30);
  await t.throwsAsync(collect(decompress(inChunks(cut))), {code: 'ERR_INVALID_LAYER'});
});

test('damaged and cut gzip data is refused', async t => {
  const gzip = gzipSync(plain);
  await t.throwsAsync(collect(decompress(inChunks(gzip.subarray(0, gzip.length - 5)))), {
    code: 'ERR_INVALID_LAYER',
  });
  await t.throwsAsync(collect(decompress(inChunks(gzip.fill(0x55, 20, 30)))), {code: 'ERR_INVALID_LAYER'});
});

test('xz and bzip2 are named in the refusal', async t => {
  const xz = Buffer.from('fd377a585a000000', 'hex');
  await t.throwsAsync(collect(decompress(inChunks(xz))), {
    code: 'ERR_UNSUPPORTED_COMPRESSION',
    message: /^xz/,
  });
  await t.throwsAsync(collect(decompress(inChunks(Buffer.from('BZh91AY')))), {message: /^bzip2/});
});

test('a gzip bomb is stopped by its ratio, and by its size', async t => {
  const bomb = gzipSync(Buffer.alloc(8_000_000));
  const limits = {...LAYER_LIMITS, ratioFreeBytes: 1_000_000};
  const expected = {code: 'ERR_LAYER_TOO_LARGE', message: /unpacked bytes per compressed byte/};
  await t.throwsAsync(collect(decompress(inChunks(bomb), limits)), expected);
  const small = {...LAYER_LIMITS, totalBytes: 1_000_000};
  await t.throwsAsync(collect(decompress(inChunks(bomb), small)), {code: 'ERR_LAYER_TOO_LARGE'});
});
