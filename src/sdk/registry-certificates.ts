/**
 * Certificates by Docker's rules: `certs.d/HOST:PORT/` has the registry's authorities in `*.crt`, and in `NAME.cert` and
 * `NAME.key` who we are to it.
 * @see https://docs.docker.com/engine/security/certificates/
 */
import {readdirSync, readFileSync} from 'node:fs';
import {join} from 'node:path';
import {rootCertificates} from 'node:tls';
import {CoracleError} from '../errors.js';
import type {TlsMaterial} from '../registry/index.js';

/** Docker's, and ours before it. */
export const CERTIFICATE_DIRECTORIES = ['/etc/coracle/certs.d', '/etc/docker/certs.d'];
/** Debian's and Fedora's bundle of what the host's administrator trusts. */
const SYSTEM_BUNDLES = ['/etc/ssl/certs/ca-certificates.crt', '/etc/pki/tls/certs/ca-bundle.crt'];

/** @param host with its port, if the reference has one @throws `ERR_CERTIFICATE` */
export function certificatesFor(
  host: string,
  directories: readonly string[],
  env: NodeJS.ProcessEnv = process.env,
): TlsMaterial {
  // It becomes a part of a path.
  const named =
    /^[A-Za-z0-9.:[\]-]+$/.test(host) && !host.startsWith('.')
      ? directories.map(directory => readDirectory(join(directory, host))).find(found => found !== undefined)
      : undefined;
  return {
    ca: [...systemAuthorities(env), ...(named?.authorities ?? [])],
    ...(named !== undefined && named.authorities.length > 0 && {isNamed: true}),
    ...named?.own,
  };
}

interface Certificates {
  readonly authorities: readonly Buffer[];
  readonly own: {readonly cert?: Buffer; readonly key?: Buffer};
}

function readDirectory(directory: string): Certificates | undefined {
  const names = entriesOf(directory);
  if (names === undefined) return undefined;
  const certificate = names.find(name => name.endsWith('.cert'));
  const key = certificate?.replace(/\.cert$/, '.key');
  if (key !== undefined && !names.includes(key)) {
    throw new CoracleError(
      'ERR_CERTIFICATE',
      `missing key ${key} for client certificate ${certificate} in ${directory}`,
      {
        hint: 'CA certificates must use the extension .crt.',
        details: {directory},
      },
    );
  }
  return {
    authorities: names.filter(name => name.endsWith('.crt')).map(name => readPem(join(directory, name))),
    own:
      certificate === undefined
        ? {}
        : {cert: readPem(join(directory, certificate)), key: readPem(join(directory, key!))},
  };
}

function entriesOf(directory: string): string[] | undefined {
  try {
    return readdirSync(directory).sort();
  } catch (error) {
    const {code} = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw unreadable(directory, error);
  }
}

function readPem(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw unreadable(path, error);
  }
}

function unreadable(path: string, cause: unknown): CoracleError {
  return new CoracleError(
    'ERR_CERTIFICATE',
    `${path} cannot be read: ${(cause as NodeJS.ErrnoException).code}`,
    {
      cause,
      details: {path},
    },
  );
}

/** Node's own list is what Mozilla trusts; a host's administrator may trust more, or less. */
function systemAuthorities(env: NodeJS.ProcessEnv): readonly (string | Buffer)[] {
  const extra = env['NODE_EXTRA_CA_CERTS'] ? [env['NODE_EXTRA_CA_CERTS']] : [];
  const bundle = [env['SSL_CERT_FILE'], ...SYSTEM_BUNDLES].map(path => path && tryRead(path)).find(Boolean);
  return [...(bundle ? [bundle] : rootCertificates), ...extra.flatMap(path => tryRead(path) ?? [])];
}

function tryRead(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch {
    return undefined; // another one has them
  }
}
