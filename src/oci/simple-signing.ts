/**
 * Signatures as cosign makes them with a pair of keys: ECDSA over a small JSON document that says which content was signed,
 * and under which name. Pure.
 * @see https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md
 */
import {type KeyObject, sign, verify} from 'node:crypto';
import {object, optional, parseObject, string} from './bounded-json.js';
import {type Digest, isDigest} from './digest.js';

export const SIGNATURE_TYPES = {
  payload: 'application/vnd.dev.cosign.simplesigning.v1+json',
  annotation: 'dev.cosignproject.cosign/signature',
} as const;

/** The bytes that were signed, and the signature of them: DER in base64. */
export interface Signature {
  readonly payload: Buffer;
  readonly signature: string;
}

export interface SignedClaim {
  /** Of a manifest or an index. */
  readonly digest: Digest;
  /** The name it was signed under, with or without a tag. */
  readonly reference: string;
}

/** The tag beside an image under which its signatures are found. */
export function signatureTag(digest: Digest): string {
  return `${digest.replace(':', '-')}.sig`;
}

/** @param key of ECDSA over P-256, or another that Node signs with SHA-256 */
export function signClaim({digest, reference}: SignedClaim, key: KeyObject): Signature {
  const payload = Buffer.from(
    JSON.stringify({
      critical: {
        identity: {'docker-reference': reference},
        image: {'docker-manifest-digest': digest},
        type: TYPE,
      },
      optional: null,
    }),
  );
  return {payload, signature: sign('sha256', payload, key).toString('base64')};
}

const TYPE = 'cosign container image signature';

/** What a signature claims, when one of the keys made it; undefined when none did. @throws `ERR_INVALID_IMAGE` */
export function verifyClaim(
  {payload, signature}: Signature,
  keys: readonly KeyObject[],
): SignedClaim | undefined {
  const bytes = Buffer.from(signature, 'base64');
  return keys.some(key => isSignedBy(payload, key, bytes)) ? readClaim(payload) : undefined;
}

function isSignedBy(payload: Buffer, key: KeyObject, signature: Buffer): boolean {
  try {
    return verify('sha256', payload, key, signature);
  } catch {
    return false; // no signature of that kind of key
  }
}

function readClaim(payload: Buffer): SignedClaim | undefined {
  const critical = object(parseObject(payload, 'the signed payload')['critical'], 'critical');
  const type = string(critical['type'], 'critical.type');
  const digest = object(critical['image'], 'critical.image')['docker-manifest-digest'];
  const identity = optional(critical['identity'], object, 'critical.identity');
  const reference = optional(identity?.['docker-reference'], string, 'critical.identity.docker-reference');
  // Signed things of other kinds must not count as images.
  if (type !== TYPE || !isDigest(digest)) return undefined;
  return {digest, reference: reference ?? ''};
}
