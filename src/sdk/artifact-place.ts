/** A repository of a registry as a place for artifacts that are no images: what the SDK's own credentials and certificates reach. */
import {CoracleError} from '../errors.js';
import {type ContentDescriptor, type Digest, parseReference} from '../oci/index.js';
import {
  type BlobSource,
  deleteManifest,
  downloadBlob,
  fetchDocument,
  hasBlob,
  headManifest,
  listTags,
  putManifest,
  Registry,
  RegistryRefusal,
  readBlobRange,
  repositoryScope,
  uploadBlob,
} from '../registry/index.js';
import type {Configuration} from './config-file.js';
import {registrySettings} from './registry-settings.js';

type Blob = Pick<ContentDescriptor, 'digest' | 'size'>;

/** All of it rejects as `Image.pull` and `Image.push` do. */
export class ArtifactPlace implements Disposable {
  /** `registry.example:5000/team/backups` */
  readonly name: string;
  readonly #registry: Registry;
  readonly #repository: string;

  /** @param name of a repository, its registry named @throws `ERR_INVALID_REFERENCE` */
  constructor(name: string, configuration: Configuration) {
    const {domain, path, tag, digest} = parseReference(name);
    if (tag !== undefined || digest !== undefined || !name.startsWith(`${domain}/`)) {
      throw new CoracleError('ERR_INVALID_REFERENCE', `${name} is no HOST[:PORT]/NAME`, {
        hint: 'The host has a dot, a port, or is localhost; there is no tag.',
        details: {reference: name},
      });
    }
    this.name = name;
    this.#registry = new Registry(domain, registrySettings(configuration));
    this.#repository = path;
  }

  [Symbol.dispose](): void {
    this.#registry[Symbol.dispose]();
  }

  /** None where there is no such repository yet. */
  async tags(signal?: AbortSignal): Promise<readonly string[]> {
    try {
      return await listTags(this.#registry, this.#repository, {signal});
    } catch (error) {
      if (isAbsent(error)) return [];
      throw error;
    }
  }

  /** Which digest a tag has; undefined where there is none, or the registry does not say without the whole manifest. */
  async digestOf(tag: string, signal?: AbortSignal): Promise<Digest | undefined> {
    return await headManifest(this.#registry, this.#repository, tag, {signal});
  }

  /** @returns undefined when there is none */
  async manifest(
    reference: string,
    signal?: AbortSignal,
  ): Promise<{readonly digest: Digest; readonly bytes: Buffer} | undefined> {
    try {
      return await fetchDocument(this.#registry, this.#repository, reference, {signal});
    } catch (error) {
      if (isAbsent(error)) return undefined;
      throw error;
    }
  }

  async putManifest(tag: string, bytes: Buffer, mediaType: string, signal?: AbortSignal): Promise<void> {
    await putManifest(this.#registry, this.#repository, tag, {bytes, mediaType, signal});
  }

  /** What is gone already is fine. @throws `ERR_REGISTRY_NO_DELETE` */
  async deleteManifest(digest: Digest, signal?: AbortSignal): Promise<void> {
    try {
      await deleteManifest(this.#registry, this.#repository, digest, {signal});
    } catch (error) {
      if (!isAbsent(error)) throw error;
    }
  }

  async has(digest: Digest, signal?: AbortSignal): Promise<boolean> {
    const scopes = [repositoryScope(this.#repository, 'pull')];
    return await hasBlob(this.#registry, this.#repository, digest, {scopes, signal});
  }

  /** Not sent when it is there. */
  async upload(source: BlobSource, signal?: AbortSignal): Promise<void> {
    await uploadBlob(this.#registry, this.#repository, source, {signal});
  }

  /** Goes on where a connection broke. Whoever takes it compares the digest. */
  download(blob: Blob, signal?: AbortSignal): AsyncIterable<Buffer> {
    return downloadBlob(this.#registry, this.#repository, blob, {signal});
  }

  async readRange(blob: Blob, start: number, into: Buffer, signal?: AbortSignal): Promise<void> {
    await readBlobRange(this.#registry, this.#repository, blob, start, into, {signal});
  }
}

/** The registry answered that it has no such thing. */
export function isAbsent(error: unknown): boolean {
  return error instanceof RegistryRefusal && error.status === 404;
}
