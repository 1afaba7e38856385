/**
 * What a file or a tree is, as one digest: names, types, permissions, link targets, device numbers, content and what gives
 * a program its capabilities; not owners and times, which do not make a copy another one.
 */
import {createHash, type Hash} from 'node:crypto';
import {constants, read} from 'node:fs';
import {promisify} from 'node:util';
import {getXattrBelow, openBelow, readlinkBelow} from '../binding/index.js';
import {type Digest, finishDigest} from '../oci/index.js';
import type {SourceTree} from './copy-tree.js';
import {overLimit} from './layer-limits.js';
import type {Found} from './merged-layers.js';

export interface DigestOptions {
  readonly signal?: AbortSignal | undefined;
  /** Files and directories that may come. @default 1 000 000 */
  readonly entriesMost?: number;
  /** Tells owners apart: of a copy that keeps them. @default false */
  readonly owners?: boolean;
}

export async function digestTree(
  tree: SourceTree,
  found: Found,
  {signal, entriesMost = 1_000_000, owners = false}: DigestOptions = {},
): Promise<Digest> {
  const walk = {hash: createHash('sha256'), tree, signal, entriesMost, owners, entries: 0};
  await add(walk, found, '');
  return finishDigest(walk.hash);
}

interface Walk {
  readonly hash: Hash;
  readonly tree: SourceTree;
  readonly signal: AbortSignal | undefined;
  readonly entriesMost: number;
  readonly owners: boolean;
  entries: number;
}

async function add(walk: Walk, found: Found, name: string): Promise<void> {
  walk.signal?.throwIfAborted();
  if (++walk.entries > walk.entriesMost) throw overLimit('entries', walk.entriesMost);
  const {root, path, status} = found;
  const type = status.mode & constants.S_IFMT;
  const mode = type === constants.S_IFLNK ? type : status.mode;
  const capability = type === constants.S_IFREG ? getXattrBelow(root, bytes(path), CAPABILITY) : undefined;
  const owner = walk.owners ? [status.uid, status.gid] : [];
  const facts = [name, mode, capability?.toString('hex') ?? '', ...owner];
  switch (type) {
    case constants.S_IFREG: {
      head(walk.hash, [...facts, status.size]);
      await addContent(walk, found);
      return;
    }
    case constants.S_IFLNK:
      head(walk.hash, [...facts, readlinkBelow(root, bytes(path)).toString('latin1')]);
      return;
    case constants.S_IFDIR: {
      head(walk.hash, facts);
      const children = [...walk.tree.list(path)].sort((a, b) => (a.path < b.path ? -1 : 1));
      for (const child of children) await add(walk, child, child.path.slice(child.path.lastIndexOf('/') + 1));
      head(walk.hash, ['end']);
      return;
    }
    default:
      head(walk.hash, [...facts, status.deviceMajor, status.deviceMinor]);
  }
}

/** As JSON: no two lists look alike. */
function head(hash: Hash, facts: readonly (string | number)[]): void {
  hash.update(`${JSON.stringify(facts)}\n`);
}

async function addContent({hash, signal}: Walk, {root, path, status}: Found): Promise<void> {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  using file = openBelow(root, bytes(path), flags);
  const buffer = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, Math.max(1, status.size)));
  for (let left = status.size; left > 0; ) {
    const {bytesRead} = await readAsync(file.fd, buffer, 0, Math.min(buffer.length, left), null);
    if (bytesRead === 0) break; // cut meanwhile
    hash.update(buffer.subarray(0, bytesRead));
    left -= bytesRead;
    signal?.throwIfAborted();
  }
  hash.update('\n');
}

const readAsync = promisify(read);
const CHUNK_BYTES = 262_144;
const CAPABILITY = 'security.capability';

function bytes(path: string): Buffer {
  return Buffer.from(path, 'latin1');
}
