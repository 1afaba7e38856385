import {readdir, stat} from 'node:fs/promises';

/** The sum of the files' bytes below a directory; 0 when there is none. */
export async function treeSize(path: string): Promise<number> {
  const entries = await readdir(path, {withFileTypes: true, recursive: true}).catch(() => []);
  let bytes = 0;
  for (const entry of entries) {
    if (!entry.isFile()) continue;
    const status = await stat(`${entry.parentPath}/${entry.name}`).catch(() => undefined); // it may go meanwhile
    bytes += status?.size ?? 0;
  }
  return bytes;
}
