/** How registries are reached from here: the configuration file, the environment, Docker's credentials and certificates. */
import {CoracleError} from '../errors.js';
import {
  canonicalString,
  type Digest,
  isDigest,
  parseReference,
  type Reference,
  withDefaultTag,
} from '../oci/index.js';
import {DEFAULT_RETRY, DOCKER_HUB, type RegistrySettings, type TlsMaterial} from '../registry/index.js';
import type {Configuration} from './config-file.js';
import {CERTIFICATE_DIRECTORIES, certificatesFor} from './registry-certificates.js';
import {findCredentials} from './registry-credentials.js';
import {VERSION} from './version.js';

export function registrySettings(
  configuration: Configuration,
  env: NodeJS.ProcessEnv = process.env,
): RegistrySettings {
  const {insecureRegistries, registryMirrors, maxDownloadAttempts, certsDirectory} = configuration;
  const directories = certsDirectory === undefined ? CERTIFICATE_DIRECTORIES : [certsDirectory];
  const material = new Map<string, TlsMaterial>();
  return {
    env,
    insecure: insecureRegistries ?? [],
    mirrors: registryMirrors ?? [],
    credentials: registry => findCredentials(registry, env),
    tlsFor: host => {
      const known = material.get(host) ?? certificatesFor(host, directories, env);
      material.set(host, known);
      return known;
    },
    userAgent: `coracle/${VERSION}`,
    retry: {...DEFAULT_RETRY, ...(maxDownloadAttempts !== undefined && {attempts: maxDownloadAttempts})},
  };
}

/** Where an image is in a registry, and what it is called here. */
export interface ImageSource {
  /** Of the registry, as references name it. */
  readonly registry: string;
  readonly repository: string;
  /** What to ask for: a tag or a digest. */
  readonly wanted: string;
  /** Undefined: a tag was asked for. */
  readonly digest?: Digest;
  /** With its tag. */
  readonly reference: Reference;
}

/**
 * A name without a registry is of the default one, and is called here as it was written.
 * @throws `ERR_INVALID_REFERENCE`
 */
export function imageSource(
  name: string,
  {defaultRegistry}: Pick<Configuration, 'defaultRegistry'> = {},
): ImageSource {
  const reference = withDefaultTag(parseReference(name));
  const {domain, path, tag, digest} = reference;
  const place =
    defaultRegistry !== undefined && domain === DOCKER_HUB && !namesRegistry(name)
      ? {registry: defaultRegistry, repository: path.replace(/^library\//, '')}
      : {registry: domain, repository: path};
  if (digest !== undefined && !isDigest(digest)) parseDigestOf(reference);
  return {
    ...place,
    wanted: digest ?? tag!,
    ...(isDigest(digest) && {digest}),
    reference: isDigest(digest) ? {domain, path, digest} : reference,
  };
}

/** Whether a name begins with `docker.io/`, which means that registry whatever the default is. */
function namesRegistry(name: string): boolean {
  return /^(index\.)?docker\.io\//.test(name);
}

function parseDigestOf(reference: Reference): never {
  throw new CoracleError('ERR_INVALID_DIGEST', `not a sha256 digest: ${canonicalString(reference)}`);
}
