/**
 * Names of images, by Docker's grammar: `[domain/]path[:tag][@digest]`.
 * @see https://github.com/distribution/reference/blob/main/reference.go the grammar and its normal form
 */
import {CoracleError} from '../errors.js';

export interface Reference {
  /** `docker.io` when the name says none. */
  readonly domain: string;
  /** `library/alpine` for `alpine` on docker.io. */
  readonly path: string;
  readonly tag?: string;
  /** `sha256:` and 64 hexadecimal digits. */
  readonly digest?: string;
}

/**
 * Parses what people write: `alpine`, `ghcr.io/owner/tool:1.2`, `alpine@sha256:…`.
 * @throws `ERR_INVALID_REFERENCE` with Docker's message
 */
export function parseReference(text: string): Reference {
  const invalid = (message: string) => invalidReference(message, text);
  if (/^[a-f0-9]{64}$/.test(text)) {
    throw invalid(`invalid repository name (${text}), cannot specify 64-byte hexadecimal strings`);
  }
  const {domain, remainder} = splitDomain(text);
  const remoteName = /^[^:@]*/.exec(remainder)![0];
  if (remoteName !== remoteName.toLowerCase()) {
    throw invalid(`invalid reference format: repository name (${remoteName}) must be lowercase`);
  }
  const match = REMAINDER.exec(remainder);
  if (!match || !DOMAIN.test(domain)) throw invalid('invalid reference format');
  const [, path, tag, digest] = match;
  if (`${domain}/${path}`.length > NAME_LENGTH) {
    throw invalid(`repository name must not be more than ${NAME_LENGTH} characters`);
  }
  if (digest !== undefined && !/^(sha256:[a-f0-9]{64}|sha512:[a-f0-9]{128})$/.test(digest)) {
    throw invalid(
      digest.startsWith('sha') ? 'invalid checksum digest length' : 'unsupported digest algorithm',
    );
  }
  return {domain, path: path!, ...(tag !== undefined && {tag}), ...(digest !== undefined && {digest})};
}

/**
 * What a user may call an image: neither a digest, nor what would read like one.
 * @param noDigest Docker's words for the first, which are others in each command
 * @throws `ERR_INVALID_REFERENCE`
 */
export function checkTag(reference: Reference, noDigest?: string): void {
  if (reference.digest !== undefined)
    throw refusedTag(noDigest ?? 'refusing to create a tag with a digest reference', noDigest !== undefined);
  if (familiarName(reference) === 'sha256')
    throw refusedTag('refusing to create an ambiguous tag using digest algorithm as name', true);
}

/** The tag `latest` for a reference that has neither tag nor digest. */
export function withDefaultTag(reference: Reference): Reference {
  if (reference.tag !== undefined || reference.digest !== undefined) return reference;
  return {...reference, tag: 'latest'};
}

/** The short name that Docker prints: `alpine`, `ghcr.io/owner/tool`. */
export function familiarName({domain, path}: Reference): string {
  if (domain !== DEFAULT_DOMAIN) return `${domain}/${path}`;
  const [namespace, name, ...rest] = path.split('/');
  return namespace === 'library' && name !== undefined && rest.length === 0 ? name : path;
}

/** The short name with tag and digest: `alpine:3.20`. */
export function familiarString(reference: Reference): string {
  return familiarName(reference) + suffix(reference);
}

/** The whole name, the same for every way to write it: `docker.io/library/alpine:3.20`. */
export function canonicalString(reference: Reference): string {
  return `${reference.domain}/${reference.path}${suffix(reference)}`;
}

const DEFAULT_DOMAIN = 'docker.io';
const NAME_LENGTH = 255;
const LABEL = '[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?';
const DOMAIN = new RegExp(`^(?:${LABEL}(?:\\.${LABEL})*|\\[[a-fA-F0-9:]+\\])(?::[0-9]+)?$`);
const COMPONENT = '[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*';
const TAG = '[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}';
const DIGEST = '[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}';
const REMAINDER = new RegExp(`^(${COMPONENT}(?:/${COMPONENT})*)(?::(${TAG}))?(?:@(${DIGEST}))?$`);

/** Docker takes the first component for a host only when it looks like one: a dot, a port, localhost, upper case. */
function splitDomain(text: string): {domain: string; remainder: string} {
  const slash = text.indexOf('/');
  const first = slash === -1 ? '' : text.slice(0, slash);
  const isHost = /[.:]/.test(first) || first === 'localhost' || first !== first.toLowerCase();
  let domain = isHost ? first : DEFAULT_DOMAIN;
  let remainder = isHost ? text.slice(slash + 1) : text;
  if (domain === 'index.docker.io') domain = DEFAULT_DOMAIN;
  if (domain === DEFAULT_DOMAIN && !remainder.includes('/')) remainder = `library/${remainder}`;
  return {domain, remainder};
}

function suffix({tag, digest}: Reference): string {
  return (tag === undefined ? '' : `:${tag}`) + (digest === undefined ? '' : `@${digest}`);
}

/** @param daemon whether it is dockerd that refuses it, not its client */
function refusedTag(message: string, daemon: boolean): CoracleError {
  return new CoracleError('ERR_INVALID_REFERENCE', message, {details: daemon ? {daemon} : {}});
}

function invalidReference(message: string, reference: string): CoracleError {
  return new CoracleError('ERR_INVALID_REFERENCE', message, {
    hint: 'A reference is [host/]name[:tag][@sha256:…], the name in lower case: alpine:3.20',
    details: {reference},
  });
}
