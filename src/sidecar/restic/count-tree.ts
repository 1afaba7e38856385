import {lstat, readdir} from 'node:fs/promises';

/** Entries below a directory and itself, and the bytes of its files. */
export async function countTree(
  directory: string,
  signal?: AbortSignal,
): Promise<{readonly entries: number; readonly bytes: number}> {
  let entries = 1;
  let bytes = 0;
  // As bytes: names need not be UTF-8.
  const walk = async (place: Buffer): Promise<void> => {
    signal?.throwIfAborted();
    for (const entry of await readdir(place, {withFileTypes: true, encoding: 'buffer'})) {
      const path = Buffer.concat([place, Buffer.from('/'), entry.name]);
      entries++;
      if (entry.isDirectory()) await walk(path);
      else if (entry.isFile()) bytes += (await lstat(path)).size;
    }
  };
  await walk(Buffer.from(directory));
  return {entries, bytes};
}
