/** Signs images in their registries, and says who has: `cosign sign --key` and `cosign verify --key`. */
import {CoracleError} from '../errors.js';
import {type Digest, familiarString, type Signature, signClaim, verifyClaim} from '../oci/index.js';
import {addSignature, fetchManifest, fetchSignatures, Registry, RegistryRefusal} from '../registry/index.js';
import type {Configuration} from './config-file.js';
import {type ImageSource, imageSource, registrySettings} from './registry-settings.js';
import {inDockersWords} from './resolve-image.js';
import {readPrivateKey, readPublicKey} from './signing-key.js';

export interface SignOptions {
  /** The private key's file. */
  readonly key: string;
  /** Of an encrypted key. */
  readonly passphrase?: string;
  readonly signal?: AbortSignal;
}

/** @returns the digest that was signed: an index's, where the image has several platforms */
export async function signRemote(
  name: string,
  {key: path, passphrase, signal}: SignOptions,
  configuration: Configuration,
): Promise<Digest> {
  const key = readPrivateKey(path, passphrase);
  return await withDigest(
    name,
    configuration,
    signal,
    async (registry, {registry: domain, repository}, digest) => {
      const signature = signClaim({digest, reference: `${domain}/${repository}`}, key);
      await addSignature(registry, repository, digest, signature, {signal});
      return digest;
    },
  );
}

export interface VerifyOptions {
  /** The public key's file. */
  readonly key: string;
  readonly signal?: AbortSignal;
}

export interface VerifiedImage {
  readonly digest: string;
  /** What was signed with that key: JSON as cosign prints it. */
  readonly payloads: readonly unknown[];
}

/** @throws `ERR_IMAGE_REFUSED` when nobody has signed it with that key */
export async function verifyRemote(
  name: string,
  {key: path, signal}: VerifyOptions,
  configuration: Configuration,
): Promise<VerifiedImage> {
  const key = readPublicKey(path);
  return await withDigest(name, configuration, signal, async (registry, {repository, reference}, digest) => {
    const signatures = await fetchSignatures(registry, repository, digest, {signal});
    const isTrue = (signature: Signature) => verifyClaim(signature, [key])?.digest === digest;
    const payloads = signatures
      .filter(isTrue)
      .map(({payload}) => JSON.parse(payload.toString('utf8')) as unknown);
    if (payloads.length > 0) return {digest, payloads};
    throw new CoracleError(
      'ERR_IMAGE_REFUSED',
      `no signature of ${familiarString(reference)} (${digest}) is by ${path}`,
      {
        details: {digest, signatures: signatures.length},
      },
    );
  });
}

async function withDigest<T>(
  name: string,
  configuration: Configuration,
  signal: AbortSignal | undefined,
  work: (registry: Registry, source: ImageSource, digest: Digest) => Promise<T>,
): Promise<T> {
  const source = imageSource(name, configuration);
  using registry = new Registry(source.registry, registrySettings(configuration));
  try {
    // What is signed was seen: the digest is of the bytes that came.
    const {digest} = await fetchManifest(registry, source.repository, source.wanted, {signal});
    return await work(registry, source, digest);
  } catch (error) {
    throw error instanceof RegistryRefusal ? inDockersWords(error, source) : error;
  }
}
