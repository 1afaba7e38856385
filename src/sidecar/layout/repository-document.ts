/**
 * What a repository says of itself: how its content is cut, and its keys. Each key is a secret that opens the same master key,
 * so keys come and go without anything being written again.
 */
import {createCipheriv, createDecipheriv, randomBytes, scrypt} from 'node:crypto';
import {promisify} from 'node:util';
import {CoracleError} from '../../errors.js';
import {readJson} from '../../sdk/index.js';
import {damaged} from './repository-errors.js';
import {TAG_BYTES} from './sealing.js';

export interface RepositoryDocument {
  /** 32 hexadecimal digits, random. */
  readonly id: string;
  readonly cutting: CuttingSizes;
  /** Undefined: nothing is encrypted. */
  readonly keys: readonly KeySlot[] | undefined;
}

export interface CuttingSizes {
  readonly minBytes: number;
  readonly averageBytes: number;
  readonly maxBytes: number;
}

export interface KeySlot {
  /** 8 hexadecimal digits. */
  readonly id: string;
  /** RFC 3339. */
  readonly created: string;
  /** Whose it is. */
  readonly note: string;
  readonly scrypt: ScryptParameters;
  /** Base64: nonce, encrypted master key, tag. */
  readonly sealed: string;
}

export interface ScryptParameters {
  readonly cost: number;
  readonly blockSize: number;
  readonly parallelization: number;
  /** Base64. */
  readonly salt: string;
}

const VERSION = 1;
const KiB = 1024;
export const CUTTING: CuttingSizes = {
  minBytes: 256 * KiB,
  averageBytes: 1024 * KiB,
  maxBytes: 4096 * KiB,
};

/**
 * OWASP, Password Storage Cheat Sheet: as strong as 2^17 in one, with 16 MiB of memory in place of 128. These stay in a
 * processor's cache: here it takes 0.16 s, and 0.4 s with 2^15 in three.
 */
const STRENGTH = {cost: 2 ** 14, blockSize: 8, parallelization: 5};
/** A document from a stranger must not take all memory or an hour. */
const MOST = {cost: 2 ** 20, blockSize: 32, parallelization: 16, memoryBytes: 1024 * 1024 * KiB};
const MOST_KEYS = 100;
const MASTER_BYTES = 32;
const NONCE_BYTES = 12;

export function newRepository(): RepositoryDocument {
  return {id: randomBytes(16).toString('hex'), cutting: CUTTING, keys: undefined};
}

export function newMasterKey(): Buffer {
  return randomBytes(MASTER_BYTES);
}

/** The document with one more key. */
export async function withKey(
  document: RepositoryDocument,
  {
    master,
    secret,
    note,
    time,
    strength = STRENGTH,
  }: {
    readonly master: Buffer;
    readonly secret: Buffer;
    readonly note: string;
    readonly time: string;
    readonly strength?: Omit<ScryptParameters, 'salt'>;
  },
): Promise<{document: RepositoryDocument; key: KeySlot}> {
  const {keys = []} = document;
  if (keys.length >= MOST_KEYS) throw keyError(`the repository has ${MOST_KEYS} keys, and takes no more`);
  const salt = randomBytes(32);
  const nonce = randomBytes(NONCE_BYTES);
  const parameters = {...strength, salt: salt.toString('base64')};
  const wrapping = await stretch(secret, parameters);
  const cipher = createCipheriv('aes-256-gcm', wrapping, nonce).setAAD(authenticated(document));
  const sealed = Buffer.concat([nonce, cipher.update(master), cipher.final(), cipher.getAuthTag()]);
  const id = randomBytes(4).toString('hex');
  const key = {id, created: time, note, scrypt: parameters, sealed: sealed.toString('base64')};
  return {document: {...document, keys: [...keys, key]}, key};
}

/** @throws `ERR_REPOSITORY_KEY` when there is no such key, or no other */
export function withoutKey(document: RepositoryDocument, id: string, current: string): RepositoryDocument {
  const {keys = []} = document;
  if (!keys.some(key => key.id === id)) throw keyError(`the repository has no key ${id}`);
  if (keys.length === 1) throw keyError(`${id} is the last key: without it nobody could read the repository`);
  if (id === current)
    throw keyError(
      `${id} is the key that this was asked with: nobody might have another`,
      'Open the repository with the key that stays.',
    );
  return {...document, keys: keys.filter(key => key.id !== id)};
}

/** @throws `ERR_REPOSITORY_KEY` when it is none of the keys, or one is needed and missing, or none is needed and one is given */
export async function openMasterKey(
  url: string,
  document: RepositoryDocument,
  secret: Buffer | undefined,
): Promise<{master: Buffer; key: KeySlot} | undefined> {
  const {keys} = document;
  if (keys === undefined) {
    if (secret === undefined) return undefined;
    throw keyError(
      `${url} has no key: what is written there is not encrypted`,
      'Leave the key away, or name another repository.',
    );
  }
  if (secret === undefined) throw keyError(`${url} is encrypted, and no key was given`);
  for (const key of keys) {
    const master = await unseal(document, key, secret);
    if (master !== undefined) return {master, key};
  }
  throw keyError(`${url} is encrypted, and not with the key that was given`);
}

async function unseal(
  document: RepositoryDocument,
  key: KeySlot,
  secret: Buffer,
): Promise<Buffer | undefined> {
  const sealed = Buffer.from(key.sealed, 'base64');
  if (sealed.length !== NONCE_BYTES + MASTER_BYTES + TAG_BYTES) return undefined;
  const wrapping = await stretch(secret, key.scrypt);
  const decipher = createDecipheriv('aes-256-gcm', wrapping, sealed.subarray(0, NONCE_BYTES))
    .setAAD(authenticated(document))
    .setAuthTag(sealed.subarray(-TAG_BYTES));
  const master = decipher.update(sealed.subarray(NONCE_BYTES, -TAG_BYTES));
  try {
    return Buffer.concat([master, decipher.final()]);
  } catch {
    return undefined; // another key's
  }
}

async function stretch(secret: Buffer, parameters: ScryptParameters): Promise<Buffer> {
  const {cost, blockSize, parallelization, salt} = parameters;
  const maxmem = 256 * cost * blockSize + MOST.memoryBytes / 8; // twice what it takes, and some
  const options = {N: cost, r: blockSize, p: parallelization, maxmem};
  return (await scryptAsync(secret, Buffer.from(salt, 'base64'), 32, options)) as Buffer;
}

const scryptAsync = promisify(
  scrypt as (
    secret: Buffer,
    salt: Buffer,
    bytes: number,
    options: object,
    done: (error: Error | null, key: Buffer) => void,
  ) => void,
);

/** What nobody may change: how the content is cut, and whose master key it is. */
function authenticated({id, cutting}: RepositoryDocument): Buffer {
  const {minBytes, averageBytes, maxBytes} = cutting;
  return Buffer.from(`coracle backup ${VERSION} ${id} ${minBytes} ${averageBytes} ${maxBytes}`);
}

export function encodeRepository({id, cutting, keys}: RepositoryDocument): Buffer {
  const encryption = keys === undefined ? 'none' : 'aes-256-gcm';
  return Buffer.from(JSON.stringify({version: VERSION, id, cutting, encryption, ...(keys && {keys})}));
}

/** @param subject the blob's digest @throws `ERR_REPOSITORY_DAMAGED` */
export function parseRepository(bytes: Buffer, subject: string): RepositoryDocument {
  const {object, string, list, count} = readJson;
  try {
    const json = readJson.parseObject(bytes, 'the repository');
    if (json['version'] !== VERSION) throw new TypeError(`is of version ${json['version']}, which is newer`);
    const id = string(json['id'], 'id');
    if (!/^[a-f0-9]{32}$/.test(id)) throw new TypeError('has an invalid id');
    const sizes = object(json['cutting'], 'cutting');
    const size = (name: string) => count(sizes[name], `cutting.${name}`);
    const cutting = {
      minBytes: size('minBytes'),
      averageBytes: size('averageBytes'),
      maxBytes: size('maxBytes'),
    };
    if (cutting.maxBytes > 4 * CUTTING.maxBytes) throw new TypeError('has chunks that are too large');
    const encryption = string(json['encryption'], 'encryption');
    if (encryption === 'none' && json['keys'] === undefined) return {id, cutting, keys: undefined};
    const keys = list(json['keys'], 'keys').map(parseKey);
    if (encryption !== 'aes-256-gcm' || keys.length === 0 || keys.length > MOST_KEYS)
      throw new TypeError('has no keys, or too many');
    return {id, cutting, keys};
  } catch (error) {
    throw damaged(subject, `does not describe a repository: ${(error as Error).message}`, error);
  }
}

function parseKey(value: unknown): KeySlot {
  const {object, string, count} = readJson;
  const key = object(value, 'a key');
  const json = object(key['scrypt'], 'scrypt');
  const parameters = {
    cost: count(json['cost'], 'cost'),
    blockSize: count(json['blockSize'], 'blockSize'),
    parallelization: count(json['parallelization'], 'parallelization'),
    salt: string(json['salt'], 'salt'),
  };
  const {cost, blockSize, parallelization} = parameters;
  const isSound =
    Math.min(cost, blockSize, parallelization) >= 1 &&
    cost <= MOST.cost &&
    blockSize <= MOST.blockSize &&
    parallelization <= MOST.parallelization &&
    128 * cost * blockSize <= MOST.memoryBytes;
  if (!isSound) throw new TypeError('has a key with parameters beyond all bounds');
  return {
    id: string(key['id'], 'id'),
    created: string(key['created'], 'created'),
    note: string(key['note'], 'note'),
    scrypt: parameters,
    sealed: string(key['sealed'], 'sealed'),
  };
}

function keyError(
  message: string,
  hint = 'Give the key that it was made with: --key-file, --key-command or CORACLE_REPO_KEY.',
): CoracleError {
  return new CoracleError('ERR_REPOSITORY_KEY', message, {hint});
}
