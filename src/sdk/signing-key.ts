/**
 * Keys for signatures: PEM as openssl writes it, plain or with a passphrase, and cosign's own encrypted form.
 * @see https://github.com/sigstore/cosign/blob/main/pkg/cosign/keys.go
 */
import {createPrivateKey, createPublicKey, type KeyObject, scryptSync} from 'node:crypto';
import {readFileSync} from 'node:fs';
import {xsalsa20poly1305} from '@noble/ciphers/salsa.js';
import {CoracleError} from '../errors.js';

/** @throws `ERR_SIGNING_KEY` */
export function readPublicKey(path: string): KeyObject {
  const pem = read(path);
  try {
    return createPublicKey(pem);
  } catch (cause) {
    throw invalid(path, 'is no public key in PEM', cause);
  }
}

/** @param passphrase of an encrypted one @throws `ERR_SIGNING_KEY` */
export function readPrivateKey(path: string, passphrase = ''): KeyObject {
  const pem = read(path);
  const cosign = COSIGN_KEY.exec(pem);
  try {
    if (cosign === null) return createPrivateKey({key: pem, passphrase});
    const key = decryptCosign(path, Buffer.from(cosign[1]!, 'base64').toString('utf8'), passphrase);
    return createPrivateKey({key, format: 'der', type: 'pkcs8'});
  } catch (cause) {
    if (cause instanceof CoracleError) throw cause;
    throw invalid(path, 'is no private key in PEM, or has another passphrase', cause);
  }
}

const COSIGN_KEY =
  /-----BEGIN ENCRYPTED (?:COSIGN|SIGSTORE) PRIVATE KEY-----([A-Za-z0-9+/=\s]+)-----END ENCRYPTED (?:COSIGN|SIGSTORE) PRIVATE KEY-----/;

/** What go-securesystemslib writes: scrypt and NaCl's secretbox, as JSON. */
interface EncryptedKey {
  readonly kdf: {
    readonly name: 'scrypt';
    readonly params: {N: number; r: number; p: number};
    readonly salt: string;
  };
  readonly cipher: {readonly name: 'nacl/secretbox'; readonly nonce: string};
  readonly ciphertext: string;
}

/** More memory than cosign's keys take, and less than would hurt. */
const SCRYPT_BYTES = 256 * 1024 * 1024;

function decryptCosign(path: string, text: string, passphrase: string): Buffer {
  const {kdf, cipher, ciphertext} = JSON.parse(text) as EncryptedKey;
  if (kdf?.name !== 'scrypt' || cipher?.name !== 'nacl/secretbox') {
    throw invalid(path, `is encrypted in an unknown way: ${kdf?.name}, ${cipher?.name}`);
  }
  const {N, r, p} = kdf.params;
  const secret = scryptSync(passphrase, Buffer.from(kdf.salt, 'base64'), 32, {N, r, p, maxmem: SCRYPT_BYTES});
  try {
    return Buffer.from(
      xsalsa20poly1305(secret, Buffer.from(cipher.nonce, 'base64')).decrypt(
        Buffer.from(ciphertext, 'base64'),
      ),
    );
  } catch (cause) {
    throw invalid(path, 'has another passphrase', cause);
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw invalid(path, `cannot be read: ${(cause as NodeJS.ErrnoException).code}`, cause);
  }
}

function invalid(path: string, what: string, cause?: unknown): CoracleError {
  return new CoracleError('ERR_SIGNING_KEY', `the key ${path} ${what}`, {
    cause,
    hint: 'openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 makes a private key; openssl pkey -pubout its public one.',
    details: {path},
  });
}
