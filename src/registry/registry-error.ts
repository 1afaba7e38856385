/** What registries answer when they refuse, as errors of ours with Docker's words. */
import {CoracleError} from '../errors.js';

/** What a registry said of one error. @see https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes */
export interface RegistryFault {
  /** `MANIFEST_UNKNOWN`; `UNKNOWN` where it said nothing that can be read. */
  readonly code: string;
  /** Made harmless: one line, no control characters, not long. */
  readonly message: string;
}

/** Reads the body of an answer of status 400 and above. */
export function parseFaults(body: string): readonly RegistryFault[] {
  let document: unknown;
  try {
    document = JSON.parse(body);
  } catch {
    return [];
  }
  const {errors} = (document ?? {}) as {errors?: unknown};
  if (!Array.isArray(errors)) {
    // Token servers of Docker's answer so.
    const {details, message} = (document ?? {}) as {details?: unknown; message?: unknown};
    const text = [details, message].find(value => typeof value === 'string');
    return typeof text === 'string' ? [{code: 'UNKNOWN', message: harmless(text)}] : [];
  }
  return errors.slice(0, FAULTS).map(each => {
    const {code, message} = (each ?? {}) as {code?: unknown; message?: unknown};
    return {
      code: typeof code === 'string' && /^[A-Z_]{1,40}$/.test(code) ? code : 'UNKNOWN',
      message: typeof message === 'string' ? harmless(message) : '',
    };
  });
}

/** As Docker prints them: `denied: requested access to the resource is denied`. */
export function faultText(faults: readonly RegistryFault[]): string {
  return faults
    .map(({code, message}) => [code.toLowerCase().replaceAll('_', ' '), message].filter(Boolean).join(': '))
    .join('; ');
}

const FAULTS = 10;
const TEXT_LENGTH = 500;

/** Text of a stranger's, fit for a line of a terminal or a log. */
export function harmless(text: string): string {
  return text
    .slice(0, TEXT_LENGTH)
    .replaceAll(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, ' ')
    .trim();
}

/** The registry answered, and not what was asked for. */
export class RegistryRefusal extends CoracleError {
  static override readonly name = 'RegistryRefusal';
  readonly status: number;
  readonly faults: readonly RegistryFault[];
  /** How long it asks to be left alone; undefined: it does not say. */
  readonly retryAfterMs: number | undefined;

  constructor(refused: {
    readonly host: string;
    readonly status: number;
    readonly statusText: string;
    readonly faults: readonly RegistryFault[];
    readonly retryAfterMs: number | undefined;
  }) {
    const {host, status, statusText, faults, retryAfterMs} = refused;
    const text = faultText(faults);
    const {code, hint} = meaning(status, faults);
    super(
      code,
      text === '' ? `received unexpected HTTP status: ${status} ${harmless(statusText)}`.trim() : text,
      {
        ...(hint !== undefined && {hint}),
        details: {registry: host, status},
      },
    );
    this.status = status;
    this.faults = faults;
    this.retryAfterMs = retryAfterMs;
  }

  has(code: string): boolean {
    return this.faults.some(fault => fault.code === code);
  }
}

function meaning(status: number, faults: readonly RegistryFault[]): {code: string; hint?: string} {
  const says = (...codes: string[]) => faults.some(({code}) => codes.includes(code));
  if (status === 429 || says('TOOMANYREQUESTS')) {
    return {code: 'ERR_REGISTRY_BUSY', hint: 'Wait, or log in: registries let known users ask more often.'};
  }
  if (status === 401 || status === 403 || says('DENIED', 'UNAUTHORIZED')) {
    return {code: 'ERR_REGISTRY_DENIED', hint: 'Log in with an account that may: coracle login REGISTRY'};
  }
  if (status === 404 || says('MANIFEST_UNKNOWN', 'NAME_UNKNOWN', 'BLOB_UNKNOWN')) {
    return {code: 'ERR_NOT_IN_REGISTRY', hint: 'See which tags there are: coracle tags REPOSITORY'};
  }
  return {code: 'ERR_REGISTRY_RESPONSE'};
}

/** The registry does not speak the protocol, or not to the end. */
export function badResponse(host: string, what: string, cause?: unknown): CoracleError {
  return new CoracleError('ERR_REGISTRY_RESPONSE', `${host} ${what}`, {cause, details: {registry: host}});
}

/** No answer: the network, the name, the certificate. Go's words, which are Docker's. */
export function unreachable(method: string, url: URL, cause: unknown): CoracleError {
  const verb = method[0] + method.slice(1).toLowerCase();
  return new CoracleError(
    'ERR_REGISTRY_UNREACHABLE',
    `${verb} "${withoutSecrets(url)}": ${explain(cause, url)}`,
    {
      cause,
      hint: hintFor(cause, url),
      details: {registry: url.host},
    },
  );
}

/** Upload sessions and signed addresses carry secrets in their query. */
function withoutSecrets(url: URL): string {
  return `${url.protocol}//${url.host}${url.pathname}`;
}

interface SystemError extends Error {
  readonly code?: string;
  readonly address?: string;
  readonly port?: number;
  readonly hostname?: string;
  readonly errors?: readonly SystemError[];
}

function explain(cause: unknown, url: URL): string {
  const first = cause instanceof AggregateError ? cause.errors.at(-1) : cause;
  const {code = '', address, port, message} = first as SystemError;
  const at = address === undefined ? '' : ` ${address.includes(':') ? `[${address}]` : address}:${port}`;
  const words = REFUSALS[code];
  if (words !== undefined) return `dial tcp${at}: connect: ${words}`;
  if (code === 'ENOTFOUND') return `dial tcp: lookup ${url.hostname}: no such host`;
  if (code === 'EAI_AGAIN') return `dial tcp: lookup ${url.hostname}: temporary failure in name resolution`;
  if (code === 'EPROTO' && /wrong version number|packet length/.test(message))
    return 'http: server gave HTTP response to HTTPS client';
  if (CERTIFICATES.has(code)) return `x509: ${harmless(message)}`;
  return harmless(message ?? String(first));
}

const REFUSALS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ENETUNREACH: 'network is unreachable',
  EHOSTUNREACH: 'no route to host',
  EACCES: 'permission denied',
  ETIMEDOUT: 'connection timed out',
};

const CERTIFICATES = new Set([
  'CERT_HAS_EXPIRED',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'ERR_TLS_CERT_ALTNAME_INVALID',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
]);

function hintFor(cause: unknown, {host}: URL): string {
  const {code = ''} = cause as SystemError;
  if (CERTIFICATES.has(code))
    return `Put the certificate of its authority into /etc/docker/certs.d/${host}/ca.crt.`;
  if (code === 'EPROTO')
    return `If it has no TLS, name it in the configuration file: "insecure-registries": ["${host}"]`;
  return 'Without a network, load the image from an archive: coracle load --input FILE';
}
