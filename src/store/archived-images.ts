/**
 * Which images an archive or directory holds: what `docker save` writes, in its old and its new form, and the OCI image
 * layout. Of layers it needs to know only where they are.
 */
import {posix} from 'node:path';
import {CoracleError} from '../errors.js';
import {
  type ContentDescriptor,
  type Digest,
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

export interface ArchivedFile {
  readonly size: number;
  /** Undefined where nobody computed it: then a name that is a digest is taken at its word. */
  readonly digest?: Digest | undefined;
}

export interface ArchivedParts<F> {
  readonly config: Buffer;
  readonly layers: readonly F[];
  readonly manifest?: Buffer;
}

export interface ArchivedImage<F> {
  readonly parts: ArchivedParts<F>;
  readonly references: readonly Reference[];
}

/** Files by their path in the archive, never by a path on disk; links only name another of them. */
export class ArchivedFiles<F extends ArchivedFile> {
  readonly #files = new Map<string, F>();
  readonly #links = new Map<string, string>();
  readonly #read: (file: F) => Buffer;

  constructor(read: (file: F) => Buffer) {
    this.#read = read;
  }

  add(path: string, file: F): void {
    this.#files.set(path, file);
  }

  link(path: string, target: string): void {
    this.#links.set(path, target);
  }

  has(path: string): boolean {
    return this.#files.has(path);
  }

  /** @throws `ERR_INVALID_IMAGE`, `ERR_DIGEST_MISMATCH` when the file's name is a digest and its content another */
  get(path: string): F {
    const name = posix.normalize(path);
    const file = this.#files.get(name) ?? this.#files.get(this.#links.get(name) ?? '');
    if (file === undefined) throw invalid(`has no file ${path}`);
    const [, named] = /(?:^|\/)([a-f0-9]{64})(?:\.json)?$/.exec(name) ?? [];
    if (named !== undefined && file.digest !== undefined && named !== hexOf(file.digest)) {
      throw new CoracleError('ERR_DIGEST_MISMATCH', `${path} of the archive has the digest ${file.digest}`);
    }
    return file;
  }

  blob({digest, size}: ContentDescriptor): F {
    const file = this.get(`blobs/sha256/${hexOf(digest)}`);
    if (file.size !== size)
      throw invalid(`has ${file.size} bytes in the blob ${digest}, its descriptor says ${size}`);
    return file;
  }

  document(file: F): Buffer {
    if (file.size > DOCUMENT_BYTES) throw invalid(`has a document of ${file.size} bytes`);
    return this.#read(file);
  }
}

/** @throws `ERR_INVALID_IMAGE`, `ERR_DIGEST_MISMATCH`, `ERR_PLATFORM_MISSING` */
export function readArchivedImages<F extends ArchivedFile>(files: ArchivedFiles<F>): ArchivedImage<F>[] {
  return files.has('manifest.json') ? readDockerArchive(files) : readOciLayout(files);
}

/** Of an archive: three files a layer, with room. */
export const ARCHIVE_ENTRIES = 20_000;

/** manifest.json: a list of {Config, RepoTags, Layers}, each a path. */
function readDockerArchive<F extends ArchivedFile>(files: ArchivedFiles<F>): ArchivedImage<F>[] {
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

function readOciLayout<F extends ArchivedFile>(files: ArchivedFiles<F>): ArchivedImage<F>[] {
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
function readOciImage<F extends ArchivedFile>(
  files: ArchivedFiles<F>,
  descriptor: ContentDescriptor,
  depth: number,
): ArchivedParts<F> {
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

function readOciParts<F extends ArchivedFile>(
  files: ArchivedFiles<F>,
  {config, layers}: Manifest,
  manifest: Buffer,
): ArchivedParts<F> {
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
