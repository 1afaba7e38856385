/** What images an archive or an OCI image layout holds, read in passing: nothing is unpacked and nothing is stored. */
import {lstatSync, readdirSync, readFileSync} from 'node:fs';
import {join, posix} from 'node:path';
import {CoracleError} from '../errors.js';
import {
  type Digest,
  DOCUMENT_BYTES,
  digestOf,
  hexOf,
  type ImageConfig,
  parseImageConfig,
  type Reference,
} from '../oci/index.js';
import {ARCHIVE_ENTRIES, type ArchivedFile, ArchivedFiles, readArchivedImages} from './archived-images.js';
import {decompress} from './decompress.js';
import {overLimit} from './layer-limits.js';
import {type ArchiveSource, openSource} from './open-source.js';
import {readTar} from './read-tar.js';

export interface ArchivedImageFacts {
  /** The digest of the configuration. */
  readonly id: Digest;
  readonly config: ImageConfig;
  /** The configuration as it is written. */
  readonly document: Buffer;
  readonly references: readonly Reference[];
  /** Of its layers as they lie there, compressed or not. */
  readonly layerBytes: number;
}

/**
 * @param source a directory with an OCI image layout, an archive's path, or its bytes
 * @throws `ERR_INVALID_IMAGE`, `ERR_DIGEST_MISMATCH`, `ERR_FILE_NOT_FOUND`, `ERR_FILE_UNREADABLE`, `ERR_PLATFORM_MISSING`
 */
export async function inspectArchive(source: ArchiveSource): Promise<ArchivedImageFacts[]> {
  const isDirectory =
    typeof source === 'string' && lstatSync(source, {throwIfNoEntry: false})?.isDirectory() === true;
  const files = isDirectory ? layoutFiles(source) : await archiveFiles(source);
  return readArchivedImages(files).map(({parts, references}) => ({
    id: digestOf(parts.config),
    config: parseImageConfig(parts.config),
    document: parts.config,
    references,
    layerBytes: parts.layers.reduce((sum, {size}) => sum + size, 0),
  }));
}

interface ReadableFile extends ArchivedFile {
  readonly read: () => Buffer;
}

const newFiles = () => new ArchivedFiles<ReadableFile>(file => file.read());

async function archiveFiles(source: ArchiveSource): Promise<ArchivedFiles<ReadableFile>> {
  const files = newFiles();
  let count = 0;
  for await (const entry of readTar(decompress(openSource(source)))) {
    if (++count > ARCHIVE_ENTRIES) throw overLimit('entries', ARCHIVE_ENTRIES);
    const path = posix.normalize(entry.path.toString('utf8'));
    const target = entry.target.toString('utf8');
    if (entry.type === 'symlink') files.link(path, posix.join(posix.dirname(path), target));
    else if (entry.type === 'link') files.link(path, posix.normalize(target));
    if (entry.type !== 'file') continue;
    const content = entry.size > DOCUMENT_BYTES ? undefined : await documentIn(entry.content());
    files.add(path, {
      size: entry.size,
      digest: content && digestOf(content),
      read: () => content ?? noDocument(),
    });
  }
  return files;
}

/** The bytes of what begins like JSON; small layers do not, and need not be kept. */
async function documentIn(content: AsyncIterable<Buffer>): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  for await (const chunk of content) {
    if (chunks.length === 0 && !/^\s*[[{]/.test(chunk.subarray(0, 64).toString('latin1'))) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function layoutFiles(directory: string): ArchivedFiles<ReadableFile> {
  const files = newFiles();
  for (const name of ['index.json', ...blobsOf(directory)]) {
    const path = join(directory, name);
    const facts = lstatSync(path, {throwIfNoEntry: false});
    if (facts?.isFile()) files.add(name, {size: facts.size, read: () => checked(name, readFileSync(path))});
  }
  return files;
}

/** Only what is read is worth the time of its digest: layers are not. */
function checked(name: string, content: Buffer): Buffer {
  const digest = digestOf(content);
  if (name === 'index.json' || name.endsWith(`/${hexOf(digest)}`)) return content;
  throw new CoracleError('ERR_DIGEST_MISMATCH', `${name} of the image layout has the digest ${digest}`);
}

function blobsOf(directory: string): string[] {
  try {
    return readdirSync(join(directory, 'blobs/sha256')).map(name => `blobs/sha256/${name}`);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw new CoracleError('ERR_FILE_UNREADABLE', `${directory}: ${(cause as Error).message}`, {cause});
  }
}

function noDocument(): never {
  throw new CoracleError('ERR_INVALID_IMAGE', 'the archive has something else where a document should be');
}
