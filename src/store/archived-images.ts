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
  digestOf,
  formatPlatform,
  hexOf,
  list,
  type Manifest,
  object,
  optional,
  type Platform,
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

  blob(descriptor: ContentDescriptor): F {
    const {digest, size} = descriptor;
    const file = this.get(blobPath(descriptor));
    if (file.size !== size)
      throw invalid(`has ${file.size} bytes in the blob ${digest}, its descriptor says ${size}`);
    return file;
  }

  document(file: F): Buffer {
    if (file.size > DOCUMENT_BYTES) throw invalid(`has a document of ${file.size} bytes`);
    return this.#read(file);
  }
}

/**
 * @param platform of an image for several which one; @default this host's
 * @throws `ERR_INVALID_IMAGE`, `ERR_DIGEST_MISMATCH`, `ERR_PLATFORM_MISSING`
 */
export function readArchivedImages<F extends ArchivedFile>(
  files: ArchivedFiles<F>,
  platform: Platform = platformOf(process.arch),
): ArchivedImage<F>[] {
  return files.has('manifest.json') ? readDockerArchive(files) : readOciLayout(files, platform);
}

/** Of an archive: three files a layer, with room. */
export const ARCHIVE_ENTRIES = 20_000;

/** manifest.json: a list of {Config, RepoTags, Layers}, each a path. */
function readDockerArchive<F extends ArchivedFile>(files: ArchivedFiles<F>): ArchivedImage<F>[] {
  // Wrapped, because documents are objects to the bounded reader, and this one is a list.
  const document = `{"images":${files.document(files.get('manifest.json')).toString('utf8')}}`;
  const manifests = manifestsOf(files);
  return list(parseObject(document, 'manifest.json')['images'], 'manifest.json').map((item, index) => {
    const where = `manifest.json[${index}]`;
    const {Config, RepoTags, Layers} = object(item, where);
    const config = files.document(files.get(string(Config, `${where}.Config`)));
    const layers = strings(Layers, `${where}.Layers`).map(path => files.get(path));
    const tags = optional(RepoTags, strings, `${where}.RepoTags`) ?? [];
    const manifest = manifests.get(digestOf(config));
    // Only if both say the same: what one tool checked, another must not run.
    const agrees =
      manifest?.layers.map(({digest}) => digest).join() === layers.map(({digest}) => digest).join();
    return {
      parts: {config, layers, ...(manifest !== undefined && agrees && {manifest: manifest.document})},
      references: tags.map(parseReference),
    };
  });
}

/** Docker 25 and later write an image layout as well: the manifests in it, by the configuration they name. */
function manifestsOf<F extends ArchivedFile>(files: ArchivedFiles<F>) {
  const manifests = new Map<Digest, {document: Buffer; layers: Manifest['layers']}>();
  for (const descriptor of files.has('index.json') ? topLevel(files) : []) {
    if (!files.has(blobPath(descriptor))) continue;
    const document = files.document(files.blob(descriptor));
    const parsed = parseManifest(document);
    if (parsed.kind === 'manifest') manifests.set(parsed.config.digest, {document, layers: parsed.layers});
  }
  return manifests;
}

function readOciLayout<F extends ArchivedFile>(
  files: ArchivedFiles<F>,
  platform: Platform,
): ArchivedImage<F>[] {
  if (!files.has('index.json')) {
    throw invalid('is neither from `docker save` (manifest.json) nor an OCI image layout (index.json)');
  }
  return topLevel(files).map(descriptor => ({
    parts: readOciImage(files, descriptor, platform, 0),
    references: namesOf(descriptor),
  }));
}

/** Of index.json; what buildx writes beside images, about how they were built, is none. */
function topLevel<F extends ArchivedFile>(files: ArchivedFiles<F>): readonly ContentDescriptor[] {
  const index = parseManifest(files.document(files.get('index.json')));
  if (index.kind !== 'index') throw invalid('has an index.json that is no index');
  return index.manifests.filter(
    ({platform, annotations}) =>
      platform?.os !== 'unknown' && annotations?.['vnd.docker.reference.type'] !== 'attestation-manifest',
  );
}

/** An index within the index is one image for several platforms. */
function readOciImage<F extends ArchivedFile>(
  files: ArchivedFiles<F>,
  descriptor: ContentDescriptor,
  wanted: Platform,
  depth: number,
): ArchivedParts<F> {
  const manifest = files.document(files.blob(descriptor));
  const parsed = parseManifest(manifest);
  if (parsed.kind === 'manifest') return readOciParts(files, parsed, manifest);
  const match = parsed.manifests.find(({platform}) => platform && platformMatches(platform, wanted));
  if (match === undefined || depth > 3) {
    throw new CoracleError('ERR_PLATFORM_MISSING', `the archive has no image for ${formatPlatform(wanted)}`);
  }
  return readOciImage(files, match, wanted, depth + 1);
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

function blobPath({digest}: ContentDescriptor): string {
  return `blobs/sha256/${hexOf(digest)}`;
}

function invalid(what: string): CoracleError {
  return new CoracleError('ERR_INVALID_IMAGE', `the archive ${what}`);
}
