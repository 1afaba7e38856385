/** Archives come as a path or as a stream. */
import {open} from 'node:fs/promises';
import {CoracleError} from '../errors.js';
import {readReused} from './reused-buffers.js';

export type ArchiveSource = string | AsyncIterable<Uint8Array>;

/**
 * @param reuse reads a file as `readReused` does: for those who keep no chunk
 * @throws `ERR_FILE_NOT_FOUND`, `ERR_FILE_UNREADABLE`
 */
export async function* openSource(
  source: ArchiveSource,
  {reuse = false}: {readonly reuse?: boolean} = {},
): AsyncGenerator<Uint8Array> {
  if (typeof source !== 'string') {
    yield* source;
    return;
  }
  await using file = await open(source).catch((cause: NodeJS.ErrnoException) => {
    const isMissing = cause.code === 'ENOENT';
    const reason = isMissing ? 'no such file or directory' : (cause.code ?? 'unreadable');
    throw new CoracleError(
      isMissing ? 'ERR_FILE_NOT_FOUND' : 'ERR_FILE_UNREADABLE',
      `open ${source}: ${reason}`,
      {cause},
    );
  });
  if ((await file.stat()).isDirectory())
    throw new CoracleError('ERR_FILE_UNREADABLE', `read ${source}: is a directory`);
  yield* reuse ? readReused(file) : file.createReadStream({highWaterMark: 262_144, autoClose: false});
}
