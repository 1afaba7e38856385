import {mkdirSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {TAR_END, type TarNode, tarHeader, tarPadding} from '../../src/store/write-tar.js';

export type Entry = Partial<TarNode> & {path: string | Uint8Array; content?: string | Uint8Array};

/** A tar archive of entries; one with content is a file. */
export function tar(...entries: Entry[]): Buffer {
  return Buffer.concat([...entries.map(tarEntry), TAR_END]);
}

export function tarEntry({content, ...node}: Entry): Buffer {
  const bytes = Buffer.from((content ?? '') as string);
  const header = tarHeader({type: 'file', size: bytes.length, ...node});
  return Buffer.concat([header, bytes, tarPadding(bytes.length)]);
}

/** The archive in portions that end in awkward places. */
export async function* inChunks(bytes: Uint8Array, size = 700): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

/** A directory of its own beside a canary that nothing may touch. */
export function scratch() {
  const base = mkdtempSync(join(tmpdir(), 'coracle-store-'));
  const [path, outside] = [join(base, 'root'), join(base, 'outside')];
  mkdirSync(path);
  mkdirSync(outside);
  writeFileSync(join(outside, 'canary'), 'alive');
  return {
    path,
    outside,
    [Symbol.dispose]() {
      rmSync(base, {recursive: true, force: true});
    },
  };
}

export const isRoot = process.geteuid?.() === 0;
