import test from 'ava';
import type {TarNode} from '../../../src/sdk/index.js';
import {
  comparePaths,
  decodeRecord,
  encodeRecord,
  isUnchanged,
  readRecords,
  recordChunks,
  recordPath,
  recordSize,
  TreeDigest,
  type TreeRecord,
} from '../../../src/sidecar/tree/tree-record.js';

function record(node: Partial<TarNode> = {}, rest: Partial<TreeRecord> = {}): TreeRecord {
  return {
    node: {
      type: 'file',
      path: Buffer.from('a/b'),
      target: Buffer.alloc(0),
      mode: 0o4755,
      uid: 4_000_000_000,
      gid: 7,
      mtimeNs: -1_500_000_001n,
      deviceMajor: 0,
      deviceMinor: 0,
      xattrs: new Map([['user.x', Buffer.from([0, 255])]]),
      ...node,
    },
    size: 2 ** 40 + 5,
    ranges: [
      {start: 0, end: 4096},
      {start: 2 ** 39, end: 2 ** 40},
    ],
    chunks: Buffer.alloc(96, 7),
    identity: {inode: 2n ** 63n + 1n, ctimeNs: 1_700_000_000_000_000_001n},
    severalNames: true,
    ...rest,
  };
}

for (const [what, each] of Object.entries({
  'a file with holes, several names and attributes': record(),
  'a whole file': record({}, {ranges: undefined, size: 3}),
  'a file of zeros': record({}, {ranges: [], chunks: Buffer.alloc(0)}),
  'a symlink': record({type: 'symlink', target: Buffer.from('é', 'latin1')}, {size: 0, ranges: undefined}),
  'a hard link': record({type: 'link', target: Buffer.from('a/a')}, {identity: undefined}),
  'a device': record({type: 'block-device', deviceMajor: 259, deviceMinor: 1_048_575}),
  'the root': record({type: 'directory', path: Buffer.alloc(0)}, {severalNames: false}),
} satisfies Record<string, TreeRecord>)) {
  test(`${what} is read as it was written`, t => {
    const bytes = encodeRecord(each);
    t.deepEqual(decodeRecord(bytes), each);
    t.deepEqual(recordPath(bytes), each.node.path as Buffer);
    t.deepEqual(recordChunks(bytes), each.chunks);
    t.is(recordSize(bytes), each.size);
  });
}

async function collect(bytes: Buffer, partBytes: number): Promise<Buffer[]> {
  async function* parts() {
    for (let at = 0; at < bytes.length; at += partBytes) yield bytes.subarray(at, at + partBytes);
  }
  const records: Buffer[] = [];
  for await (const each of readRecords(parts())) records.push(Buffer.from(each));
  return records;
}

test('records are found in parts of any size', async t => {
  const records = ['', 'a', 'a/b', 'a.b'].map(path => encodeRecord(record({path: Buffer.from(path)})));
  for (const partBytes of [1, 7, 100, 1000])
    t.deepEqual(await collect(Buffer.concat(records), partBytes), records);
});

test('what is cut short or no record is refused', async t => {
  const whole = encodeRecord(record());
  await t.throwsAsync(collect(whole.subarray(0, -1), 100), {message: /cut short/});
  const longer = Buffer.from(whole);
  longer.writeUInt32LE(99, 36);
  await t.throwsAsync(collect(longer, 100), {instanceOf: RangeError});
  await t.throwsAsync(collect(Buffer.alloc(100), 100), {instanceOf: RangeError});
});

test('a file is unchanged while inode, mode, size and both times are as they were', t => {
  const bytes = encodeRecord(record({}, {ranges: undefined}));
  const same = {
    inode: [1, 2 ** 31],
    ctime: [1_700_000_000, 1],
    mtime: [-2, 499_999_999],
    mode: 0o104755,
    size: 2 ** 40 + 5,
  } as const;
  t.true(isUnchanged(bytes, same));
  for (const change of [
    {inode: [1, 0]},
    {ctime: [1_700_000_000, 2]},
    {mtime: [-2, 500_000_000]},
    {mode: 0o100755},
    {size: 1},
  ] as const)
    t.false(isUnchanged(bytes, {...same, ...change}));
  t.false(isUnchanged(encodeRecord(record({}, {identity: undefined})), same));
});

test('a digest has everything but the inode, the time of its change and how many names there are', t => {
  const digest = (each: TreeRecord) => {
    const tree = new TreeDigest();
    tree.add(encodeRecord(each));
    return tree.end();
  };
  t.is(digest(record()), digest(record({}, {identity: undefined, severalNames: false})));
  for (const other of [
    record({mode: 0o755}),
    record({uid: 1}),
    record({gid: 1}),
    record({mtimeNs: 1n}),
    record({path: Buffer.from('a/c')}),
    record({xattrs: new Map()}),
    record({type: 'fifo'}),
    record({}, {chunks: Buffer.alloc(96, 8)}),
    record({}, {size: 2 ** 40 + 6}),
  ])
    t.not(digest(record()), digest(other));
});

test('paths are in the order of a walk: what is in a directory comes right after it', t => {
  const sorted = ['', 'a', 'a/b', 'a/b/c', 'a/b.c', 'a b', 'a.b', 'b'].map(path => Buffer.from(path));
  t.deepEqual([...sorted].reverse().sort(comparePaths), sorted);
});
