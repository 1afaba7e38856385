/**
 * What the SDK does at registries besides pull and push. The client is loaded at the first call: programs that run
 * containers never need it.
 */

import type {FoundImage} from '../registry/index.js';
import type {ArtifactPlace} from './artifact-place.js';
import type {InRuntime} from './image.js';
import type {KnownLogin, LoggedIn, LoginOptions} from './login.js';
import type {CopyOptions, RemoteManifest, SearchOptions} from './remote-images.js';
import {Runtime} from './runtime.js';
import type {SignOptions, VerifiedImage, VerifyOptions} from './sign-image.js';

/**
 * Checks a name and a password at a registry and keeps them where the docker client does: its `config.json`, or the
 * credential helper that it names.
 * @param server `registry.example:5000`; undefined: the default registry
 * @throws `ERR_REGISTRY_DENIED`, `ERR_REGISTRY_UNREACHABLE`, `ERR_CREDENTIALS`
 */
export async function login(
  server: string | undefined,
  options: LoginOptions = {},
  {runtime}: InRuntime = {},
): Promise<LoggedIn> {
  return (await import('./login.js')).loginTo(server, options, Runtime.configurationOf(runtime));
}

/** Whose credentials are stored; undefined when none are. @throws `ERR_CREDENTIALS` */
export async function loginOf(
  server: string | undefined,
  {runtime}: InRuntime = {},
): Promise<KnownLogin | undefined> {
  return (await import('./login.js')).knownLogin(server, Runtime.configurationOf(runtime));
}

/** Forgets what `login` kept. @returns the server's name as it was kept @throws `ERR_CREDENTIALS` */
export async function logout(server: string | undefined, {runtime}: InRuntime = {}): Promise<string> {
  return (await import('./login.js')).logoutFrom(server, Runtime.configurationOf(runtime));
}

/** The tags of a repository, in the registry's order. @throws as `Image.pull` */
export async function listTags(
  repository: string,
  options: {readonly signal?: AbortSignal} = {},
  {runtime}: InRuntime = {},
): Promise<readonly string[]> {
  return (await import('./remote-images.js')).remoteTags(
    repository,
    options,
    Runtime.configurationOf(runtime),
  );
}

/** When the images of tags were made, RFC 3339, by tag; without those that do not say. Two requests for each tag. @throws as `Image.pull` */
export async function tagDates(
  repository: string,
  tags: readonly string[],
  options: {readonly signal?: AbortSignal} = {},
  {runtime}: InRuntime = {},
): Promise<ReadonlyMap<string, string>> {
  return (await import('./remote-images.js')).remoteDates(
    repository,
    tags,
    options,
    Runtime.configurationOf(runtime),
  );
}

/** The manifest or index that a name stands for, with nothing pulled. @throws as `Image.pull` */
export async function readManifest(
  reference: string,
  options: {readonly signal?: AbortSignal} = {},
  {runtime}: InRuntime = {},
): Promise<RemoteManifest> {
  return (await import('./remote-images.js')).remoteManifest(
    reference,
    options,
    Runtime.configurationOf(runtime),
  );
}

/**
 * Copies an image from one repository to another with all its platforms, byte for byte and past this host's store.
 * @returns its digest
 * @throws as `Image.pull` and `Image.push`
 */
export async function copyImage(
  from: string,
  to: string,
  options: CopyOptions = {},
  {runtime}: InRuntime = {},
): Promise<string> {
  return (await import('./remote-images.js')).copyRemote(from, to, options, Runtime.configurationOf(runtime));
}

/**
 * Signs an image in its registry, as `cosign sign --key` does: the signature is put beside it.
 * @returns the digest that was signed: an index's, where the image has several platforms
 * @throws `ERR_SIGNING_KEY`, and as `Image.pull`
 */
export async function signImage(
  reference: string,
  options: SignOptions,
  {runtime}: InRuntime = {},
): Promise<string> {
  return (await import('./sign-image.js')).signRemote(reference, options, Runtime.configurationOf(runtime));
}

/** Whether an image was signed with a key, as `cosign verify --key` does. @throws `ERR_IMAGE_REFUSED`, `ERR_SIGNING_KEY`, and as `Image.pull` */
export async function verifyImage(
  reference: string,
  options: VerifyOptions,
  {runtime}: InRuntime = {},
): Promise<VerifiedImage> {
  return (await import('./sign-image.js')).verifyRemote(reference, options, Runtime.configurationOf(runtime));
}

/** A repository of a registry for artifacts that are no images. @param name `HOST[:PORT]/NAME` @throws `ERR_INVALID_REFERENCE` */
export async function openArtifactPlace(name: string, {runtime}: InRuntime = {}): Promise<ArtifactPlace> {
  const {ArtifactPlace: Place} = await import('./artifact-place.js');
  return new Place(name, Runtime.configurationOf(runtime));
}

/** Asks a registry that can be asked so; most cannot. @param term with a registry before it, or of Docker Hub */
export async function searchImages(
  term: string,
  options: SearchOptions = {},
  {runtime}: InRuntime = {},
): Promise<readonly FoundImage[]> {
  return (await import('./remote-images.js')).searchRemote(term, options, Runtime.configurationOf(runtime));
}
