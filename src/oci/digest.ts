/** Content digests: the algorithm's name, a colon, lower-case hexadecimal digits. Here always sha256. */
import {createHash, type Hash} from 'node:crypto';
import {CoracleError} from '../errors.js';

export type Digest = `sha256:${string}`;

/** The digest as a type, or `ERR_INVALID_DIGEST`. What passes is safe as a part of a path. */
export function parseDigest(text: unknown): Digest {
  if (isDigest(text)) return text;
  throw new CoracleError('ERR_INVALID_DIGEST', `not a sha256 digest: ${JSON.stringify(text)?.slice(0, 100)}`);
}

export function isDigest(text: unknown): text is Digest {
  return typeof text === 'string' && /^sha256:[a-f0-9]{64}$/.test(text);
}

/** The 64 hexadecimal digits alone. */
export function hexOf(digest: Digest): string {
  return digest.slice('sha256:'.length);
}

export function digestOf(content: string | Uint8Array): Digest {
  return finishDigest(createHash('sha256').update(content));
}

export function finishDigest(hash: Hash): Digest {
  return `sha256:${hash.digest('hex')}`;
}

/**
 * The name of a stack of layers: of the first layer its own diff id, of each next one the digest of what is below and
 * its diff id. @see https://github.com/opencontainers/image-spec/blob/main/config.md#layer-chainid
 */
export function chainId(diffIds: readonly Digest[]): Digest {
  return diffIds.reduce(extendChain);
}

/** The names of all stacks of which a stack is made up, the lowest layer alone first. */
export function chainIds(diffIds: readonly Digest[]): Digest[] {
  const chains: Digest[] = [];
  for (const diffId of diffIds) {
    const below = chains.at(-1);
    chains.push(below === undefined ? diffId : extendChain(below, diffId));
  }
  return chains;
}

function extendChain(below: Digest, diffId: Digest): Digest {
  return digestOf(`${below} ${diffId}`);
}
