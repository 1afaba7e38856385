import {createCipheriv, createHash} from 'node:crypto';
import test from 'ava';
import {Cutter} from '../../src/binding/index.js';

const KiB = 1024;
const table = createHash('sha512').update('a table').digest();
const options = {
  minBytes: 4 * KiB,
  averageBytes: 16 * KiB,
  maxBytes: 64 * KiB,
  table: noise(2048, 'table'),
};

/** The same bytes for the same seed. */
function noise(bytes: number, seed: string): Buffer {
  const key = createHash('sha256').update(seed).digest();
  return createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(bytes));
}

/** Ends of all chunks, the content's own end included, when it comes in parts of these sizes. */
function cutAll(content: Buffer, parts: () => number, cutter = new Cutter(options)): number[] {
  const ends: number[] = [];
  for (let at = 0; at < content.length; ) {
    const part = content.subarray(at, at + parts());
    ends.push(...cutter.cuts(part).map(cut => at + cut));
    at += part.length;
  }
  cutter.reset();
  if (ends.at(-1) !== content.length) ends.push(content.length);
  return ends;
}

/** As the paper says it, a byte at a time. */
function cutByTheBook(content: Buffer): number[] {
  const gear = Array.from({length: 256}, (_, index) => options.table.readBigUInt64LE(index * 8));
  const ends: number[] = [];
  for (let start = 0; start < content.length; ) {
    const end = Math.min(start + options.maxBytes, content.length);
    let hash = 0n;
    let at = Math.min(start + options.minBytes, end);
    while (at < end) {
      hash = BigInt.asUintN(64, (hash << 1n) + gear[content[at]!]!);
      const bits = at - start < options.averageBytes ? 16n : 12n; // log2 of the average, and 2 more or less
      at++;
      if (hash >> (64n - bits) === 0n) break;
    }
    ends.push(at);
    start = at;
  }
  return ends;
}

test('content is cut where FastCDC with normalised chunking says', t => {
  const content = Buffer.concat([noise(300 * KiB, 'book'), Buffer.alloc(200 * KiB), noise(9 * KiB, 'tail')]);
  const ends = cutAll(content, () => content.length);
  t.deepEqual(ends, cutByTheBook(content));
  const sizes = ends.map((end, index) => end - (ends[index - 1] ?? 0));
  t.true(sizes.slice(0, -1).every(size => size >= options.minBytes && size <= options.maxBytes));
});

test('the cuts are the same whatever the parts in which the content comes', t => {
  const content = noise(2048 * KiB, 'parts');
  const ends = cutAll(content, () => content.length);
  t.true(ends.length > 40);
  for (const size of [1 * KiB, 4095, 64 * KiB + 1, 1000 * KiB])
    t.deepEqual(
      cutAll(content, () => size),
      ends,
    );
  const random = noise(4096, 'sizes');
  let next = 0;
  const randomSize = () => {
    next += 2;
    return random.readUInt16LE(next % 4000) + 1;
  };
  t.deepEqual(cutAll(content, randomSize), ends);
  const single = content.subarray(0, 70 * KiB);
  t.deepEqual(
    cutAll(single, () => 1),
    cutAll(single, () => single.length),
  );
});

test('after a reset nothing is left of the content before', t => {
  const [first, second] = [noise(100 * KiB, 'first'), noise(500 * KiB, 'second')];
  const cutter = new Cutter(options);
  cutAll(first, () => 30 * KiB, cutter);
  t.deepEqual(
    cutAll(second, () => 30 * KiB, cutter),
    cutAll(second, () => second.length),
  );
});

test('an inserted byte changes few chunks', t => {
  const content = noise(4096 * KiB, 'insertion');
  const changed = Buffer.concat([
    content.subarray(0, 2_000_000),
    Buffer.from('!'),
    content.subarray(2_000_000),
  ]);
  const before = new Set(chunks(content));
  const after = chunks(changed);
  t.true(after.length > 100);
  const fresh = after.filter(chunk => !before.has(chunk)).length;
  t.true(fresh >= 1 && fresh <= 3, `${fresh} new chunks`);
});

function chunks(content: Buffer): string[] {
  return cutAll(content, () => 100_000).map((end, index, ends) =>
    createHash('sha256')
      .update(content.subarray(ends[index - 1] ?? 0, end))
      .digest('hex'),
  );
}

test('sizes that cannot be are refused', t => {
  t.throws(() => new Cutter({...options, minBytes: 0}), {message: /EINVAL/});
  t.throws(() => new Cutter({...options, minBytes: 32 * KiB}), {message: /EINVAL/});
  t.throws(() => new Cutter({...options, maxBytes: 8 * KiB}), {message: /EINVAL/});
  t.throws(() => new Cutter({...options, averageBytes: 10_000}), {instanceOf: RangeError});
  t.throws(() => new Cutter({...options, table}), {instanceOf: RangeError});
});
