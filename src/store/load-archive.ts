/**
 * Loads images from one archive: what `docker save` writes, in its old and its new form, or a tar of an OCI image
 * layout. The archive may be a stream and its parts may come in any order, so each is staged with its digest first.
 */
import {readFileSync} from 'node:fs';
import {join, posix} from 'node:path';
import {CoracleError} from '../errors.js';
import {
  type ContentDescriptor,
  DOCUMENT_BYTES,
  hexOf,
  list,
  type Manifest,
  object,
  optional,
  parseManifest,
  parseObject,
  parseReference,
  platformMatches,
  platformOf,
  type Reference,
  string,
  strings,
} from '../oci/index.js';
import {addImage, type ImageParts, type ImageShelves} from './add-image.js';
import {type StagedBlob, stageBlob} from './blobs.js';
import {decompress} from './decompress.js';
import type {StoredImage} from './images.js';
import {LAYER_LIMITS, overLimit} from './layer-limits.js';
import {type ArchiveSource, openSource} from './open-source.js';
import {readTar} from './read-tar.js';
import {Workspace} from './workspace.js';

export interface LoadOptions {
  /** A name for an archive with one image, in place of those it has. */
  readonly reference?: Reference;
  readonly signal?: AbortSignal;
}

/** @throws `ERR_INVALID_IMAGE`, `ERR_DIGEST_MISMATCH`, `ERR_PLATFORM_MISSING`, and what unpacking throws */
export async function loadArchive(
  shelves: ImageShelves,
  source: ArchiveSource,
  {reference, signal}: LoadOptions = {},
): Promise<StoredImage[]> {
  await using work = Workspace.open(shelves.work);
  const files = await stageFiles(openSource(source), work.path, signal);
  const images = files.has('manifest.json') ? readDockerArchive(files) : readOciLayout(files);
  if (reference !== undefined && images.length !== 1) {
    throw invalid(`has ${images.length} images: a name can be given to one only`);
  }
  const loaded: StoredImage[] = [];
  for (const {parts, references} of images) {
    loaded.push(await addImage(shelves, parts, reference ? [reference] : references, signal));
  }
  return loaded;
}

interface ArchivedImage {
  readonly parts: ImageParts;
  readonly references: readonly Reference[];
}

/** Files by their path in the archive, never by a path on disk; links only name another of them. */
class StagedFiles {
  readonly #files = new Map<string, StagedBlob>();
  readonly #links = new Map<string, string>();

  add(path: string, file: StagedBlob): void {
    this.#files.set(path, file);
  }

  link(path: string, target: string): void {
    this.#links.set(path, target);
  }

  has(path: string): boolean {
    return this.#files.has(path);
  }

  /** @throws `ERR_INVALID_IMAGE`, `ERR_DIGEST_MISMATCH` when the file's name is a digest and its content another */
  get(path: string): StagedBlob {
    const name = posix.normalize(path);
    const file = this.#files.get(name) ?? this.#files.get(this.#links.get(name) ?? '');
    if (file === undefined) throw invalid(`has no file ${path}`);
    const [, named] = /(?:^|\/)([a-f0-9]{64})(?:\.json)?$/.exec(name) ?? [];
    if (named !== undefined && named !== hexOf(file.digest)) {
      throw new CoracleError('ERR_DIGEST_MISMATCH', `${path} of the archive has the digest ${file.digest}`);
    }
    return file;
  }

  blob({digest, size}: ContentDescriptor): StagedBlob {
    const file = this.get(`blobs/sha256/${hexOf(digest)}`);
    if (file.size !== size)
      throw invalid(`has ${file.size} bytes in the blob ${digest}, its descriptor says ${size}`);
    return file;
  }

  document(file: StagedBlob): Buffer {
    if (file.size > DOCUMENT_BYTES) throw invalid(`has a document of ${file.size} bytes`);
    return readFileSync(file.path);
  }
}

async function stageFiles(
  archive: AsyncIterable<Uint8Array>,
  directory: string,
  signal: AbortSignal | undefined,
): Promise<StagedFiles> {
  const files = new StagedFiles();
  let count = 0;
  for await (const entry of readTar(decompress(archive))) {
    if (++count > ARCHIVE_ENTRIES) throw overLimit('entries', ARCHIVE_ENTRIES);
    if (entry.size > LAYER_LIMITS.fileBytes) throw overLimit('bytes in a file', LAYER_LIMITS.fileBytes);
    const path = posix.normalize(entry.path.toString('utf8'));
    const target = entry.target.toString('utf8');
    if (entry.type === 'file') {
      files.add(path, await stageBlob(entry.content(), join(directory, String(count)), {signal}));
    } else if (entry.type === 'symlink') {
      files.link(path, posix.join(posix.dirname(path), target));
    } else if (entry.type === 'link') {
      files.link(path, posix.normalize(target));
    }
  }
  return files;
}

/** Of the outer archive: three files a layer, with room. */
const ARCHIVE_ENTRIES = 20_000;

/** manifest.json: a list of {Config, RepoTags, Layers}, each a path. */
function readDockerArchive(files: StagedFiles): ArchivedImage[] {
  // Wrapped, because documents are objects to the bounded reader, and this one is a list.
  const document = `{"images":${files.document(files.get('manifest.json')).toString('utf8')}}`;
  return list(parseObject(document, 'manifest.json')['images'], 'manifest.json').map((item, index) => {
    const where = `manifest.json[${index}]`;
    const {Config, RepoTags, Layers} = object(item, where);
    const config = files.get(string(Config, `${where}.Config`));
    const tags = optional(RepoTags, strings, `${where}.RepoTags`) ?? [];
    return {
      parts: {
        config: files.document(config),
        layers: strings(Layers, `${where}.Layers`).map(path => files.get(path)),
      },
      references: tags.map(parseReference),
    };
  });
}

function readOciLayout(files: StagedFiles): ArchivedImage[] {
  if (!files.has('index.json')) {
    throw invalid('is neither from `docker save` (manifest.json) nor an OCI image layout (index.json)');
  }
  const index = parseManifest(files.document(files.get('index.json')));
  if (index.kind !== 'index') throw invalid('has an index.json that is no index');
  return index.manifests.map(descriptor => ({
    parts: readOciImage(files, descriptor, 0),
    references: namesOf(descriptor),
  }));
}

/** An index within the index is one image for several platforms: this host's is taken. */
function readOciImage(files: StagedFiles, descriptor: ContentDescriptor, depth: number): ImageParts {
  const manifest = files.document(files.blob(descriptor));
  const parsed = parseManifest(manifest);
  if (parsed.kind === 'manifest') return readOciParts(files, parsed, manifest);
  const wanted = platformOf(process.arch);
  const match = parsed.manifests.find(({platform}) => platform && platformMatches(platform, wanted));
  if (match === undefined || depth > 3) {
    throw new CoracleError(
      'ERR_PLATFORM_MISSING',
      `the archive has no image for ${wanted.os}/${wanted.architecture}`,
    );
  }
  return readOciImage(files, match, depth + 1);
}

function readOciParts(files: StagedFiles, {config, layers}: Manifest, manifest: Buffer): ImageParts {
  return {
    config: files.document(files.blob(config)),
    layers: layers.map(layer => files.blob(layer)),
    manifest,
  };
}

/** containerd writes the whole name; the layout's own key may hold a mere tag, which names nothing here. */
function namesOf({annotations = {}}: ContentDescriptor): Reference[] {
  const whole = annotations['io.containerd.image.name'];
  if (whole !== undefined) return [parseReference(whole)];
  const name = annotations['org.opencontainers.image.ref.name'] ?? '';
  return /[/:]/.test(name) ? [parseReference(name)] : [];
}

function invalid(what: string): CoracleError {
  return new CoracleError('ERR_INVALID_IMAGE', `the archive ${what}`);
}
