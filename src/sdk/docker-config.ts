/**
 * Docker's own client configuration, `$DOCKER_CONFIG/config.json` or `~/.docker/config.json`: the credentials that people
 * have there already, and which programs keep them. Written whole or not at all, with every other key as it was.
 * @see https://github.com/docker/cli/blob/master/cli/config/configfile/file.go
 */
import {randomBytes} from 'node:crypto';
import {mkdirSync, readFileSync, realpathSync, renameSync, rmSync, writeFileSync} from 'node:fs';
import {homedir} from 'node:os';
import {dirname, join} from 'node:path';
import {CoracleError} from '../errors.js';
import type {Credentials} from '../registry/index.js';

export interface DockerConfig {
  readonly path: string;
  /** By server. */
  readonly auths: ReadonlyMap<string, Credentials>;
  /** The program that keeps credentials, `docker-credential-NAME`; undefined: the file does. */
  readonly credsStore?: string;
  /** The same, of single servers. */
  readonly credHelpers: ReadonlyMap<string, string>;
}

export function dockerConfigPath(env: NodeJS.ProcessEnv): string {
  return join(env['DOCKER_CONFIG'] || join(homedir(), '.docker'), 'config.json');
}

/** A file that is not there says nothing. @throws `ERR_CREDENTIALS` without a word of what is in the file */
export function readDockerConfig(env: NodeJS.ProcessEnv = process.env): DockerConfig {
  const path = dockerConfigPath(env);
  const document = readDocument(path);
  const auths = Object.entries(objectOf(path, document, 'auths'))
    .map(([server, entry]) => [server, readAuth(path, server, entry)] as const)
    .filter((entry): entry is [string, Credentials] => entry[1] !== undefined);
  const helpers = Object.entries(objectOf(path, document, 'credHelpers')).map(
    ([server, name]) => [server, helperName(path, `credHelpers.${server}`, name)] as const,
  );
  const store = document['credsStore'];
  return {
    path,
    auths: new Map(auths),
    ...(store !== undefined && store !== '' && {credsStore: helperName(path, 'credsStore', store)}),
    credHelpers: new Map(helpers),
  };
}

/** Puts credentials of a server into the file, or takes them out. */
export function writeDockerAuth(path: string, server: string, credentials: Credentials | undefined): void {
  const document = readDocument(path);
  const auths = {...objectOf(path, document, 'auths')};
  if (credentials === undefined) delete auths[server];
  else auths[server] = encodeAuth(credentials);
  replaceKept(path, `${JSON.stringify({...document, auths}, undefined, '\t')}`);
}

type Document = Readonly<Record<string, unknown>>;

function readDocument(path: string): Document {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    const {code} = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return {};
    throw invalid(path, `cannot be read: ${code}`);
  }
  if (text.trim() === '') return {};
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    throw invalid(path, 'is not JSON'); // what the parser says quotes the file
  }
  if (typeof document !== 'object' || document === null || Array.isArray(document))
    throw invalid(path, 'is no object');
  return document as Document;
}

function objectOf(path: string, document: Document, key: string): Document {
  const value = document[key];
  if (value === undefined || value === null) return {};
  if (typeof value !== 'object' || Array.isArray(value))
    throw invalid(path, `has "${key}" that is no object`);
  return value as Document;
}

function readAuth(path: string, server: string, entry: unknown): Credentials | undefined {
  const {auth, identitytoken, username, password} = (entry ?? {}) as Record<string, unknown>;
  const decoded = typeof auth === 'string' && auth !== '' ? decodeAuth(path, server, auth) : undefined;
  const user = decoded?.username ?? (typeof username === 'string' ? username : undefined);
  if (typeof identitytoken === 'string' && identitytoken !== '') {
    return {identityToken: identitytoken, ...(user !== undefined && {username: user})};
  }
  if (decoded !== undefined) return decoded;
  return user !== undefined && typeof password === 'string' ? {username: user, password} : undefined;
}

function decodeAuth(path: string, server: string, auth: string): {username: string; password: string} {
  const text = Buffer.from(auth, 'base64').toString('utf8').replace(/\0+$/, '');
  const colon = text.indexOf(':');
  if (colon < 0) throw invalid(path, `has credentials of ${server} that cannot be read`);
  return {username: text.slice(0, colon), password: text.slice(colon + 1)};
}

function encodeAuth(credentials: Credentials): Document {
  const {username = ''} = credentials;
  const pair = (password: string) => Buffer.from(`${username}:${password}`).toString('base64');
  return 'identityToken' in credentials
    ? {...(username !== '' && {auth: pair('')}), identitytoken: credentials.identityToken}
    : {auth: pair(credentials.password)};
}

/** It becomes a part of a program's name. */
function helperName(path: string, key: string, value: unknown): string {
  if (typeof value === 'string' && /^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(value)) return value;
  throw invalid(path, `has "${key}" that names no credential helper`);
}

/** Through a link, as Docker does: people keep the file elsewhere. */
function replaceKept(path: string, text: string): void {
  mkdirSync(dirname(path), {recursive: true, mode: 0o700});
  const target = resolved(path);
  const temporary = `${target}.${randomBytes(6).toString('hex')}.tmp`;
  try {
    writeFileSync(temporary, text, {mode: 0o600, flag: 'wx', flush: true});
    renameSync(temporary, target);
  } catch (cause) {
    rmSync(temporary, {force: true});
    throw invalid(path, `cannot be written: ${(cause as NodeJS.ErrnoException).code}`);
  }
}

function resolved(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path; // it is made now
  }
}

function invalid(path: string, what: string): CoracleError {
  return new CoracleError('ERR_CREDENTIALS', `${path} ${what}`, {
    hint: 'It is the configuration of the docker client; DOCKER_CONFIG names another directory.',
    details: {path},
  });
}
