/** Holds images to the policy: before their layers are fetched, and again before a container is made of one. */
import type {KeyObject} from 'node:crypto';
import {mkdirSync} from 'node:fs';
import {join} from 'node:path';
import {CoracleError} from '../errors.js';
import {
  type Digest,
  familiarString,
  hexOf,
  parseManifest,
  parseReference,
  type Reference,
  type Signature,
  verifyClaim,
} from '../oci/index.js';
import {fetchSignatures, type Registry} from '../registry/index.js';
import {readRecord, type Store, type StoredImage, writeRecord} from '../store/index.js';
import {type ImagePolicy, type ImageRule, ruleFor} from './image-policy.js';
import type {ImageSource} from './registry-settings.js';
import {readPublicKey} from './signing-key.js';

type SignedBy = Exclude<ImageRule, string>;

/** @param digests of the image's manifest and the indexes that led to it: a signature of one of them is enough */
export async function enforceOnPull(
  {store, policy}: {readonly store: Store; readonly policy: ImagePolicy | undefined},
  registry: Registry,
  {reference, registry: domain, repository}: ImageSource,
  digests: readonly Digest[],
  signal: AbortSignal | undefined,
): Promise<void> {
  if (policy === undefined) return;
  const place = {...reference, domain, path: repository};
  const rule = ruleFor(place, policy);
  if (rule === 'accept') return;
  if (rule === 'reject') throw rejected(reference);
  for (const digest of digests) {
    const signatures = await fetchSignatures(registry, repository, digest, {signal});
    if (!signatures.some(signature => holds(signature, digest, place, rule))) continue;
    keep(store, digest, signatures);
    return;
  }
  throw unsigned(reference, rule);
}

/** What lies in the store is looked at again: the policy may be a new one, and names are given by anybody. */
export function enforceOnRun(
  {store, policy}: {readonly store: Store; readonly policy: ImagePolicy | undefined},
  name: string,
  image: StoredImage,
): void {
  if (policy === undefined) return;
  for (const reference of namesMeant(name, image)) {
    const rule = reference === undefined ? policy.default : ruleFor(reference, policy);
    if (rule === 'accept') continue;
    if (rule === 'reject') throw rejected(reference ?? name);
    if (reference === undefined || !isSigned(store, image, reference, rule))
      throw unsigned(reference ?? name, rule);
  }
}

/** By its id it is whatever it is called: each of its names has to be allowed. */
function namesMeant(name: string, {repoTags, id}: StoredImage): readonly (Reference | undefined)[] {
  const isId = /^(sha256:)?[a-f0-9]+$/.test(name) && id.includes(name);
  if (!isId) return [parseReference(name)];
  return repoTags.length === 0 ? [undefined] : repoTags.map(parseReference);
}

function isSigned(store: Store, image: StoredImage, reference: Reference, rule: SignedBy): boolean {
  return chainOf(store, image).some(digest =>
    kept(store, digest).some(signature => holds(signature, digest, reference, rule)),
  );
}

/** The digests that vouch for it: each document names the next, down to the configuration. */
function chainOf(store: Store, {id, manifest, indexes = []}: StoredImage): readonly Digest[] {
  const chain = [...indexes, manifest];
  const documents = chain.map(digest => parseManifest(store.readDocument(digest)));
  const isWhole = documents.every((document, index) =>
    document.kind === 'manifest'
      ? document.config.digest === id
      : document.manifests.some(({digest}) => digest === chain[index + 1]),
  );
  return isWhole ? chain : [];
}

function holds(
  signature: Signature,
  digest: Digest,
  {domain, path, tag}: Pick<Reference, 'domain' | 'path' | 'tag'>,
  {signedBy, signedAs}: SignedBy,
): boolean {
  const claim = verifyClaim(signature, signedBy.map(publicKey));
  if (claim?.digest !== digest) return false;
  const named = parseReference(claim.reference);
  if (`${named.domain}/${named.path}` !== (signedAs ?? `${domain}/${path}`)) return false;
  // Signed with a tag it is that tag's; whoever asks by digest has said what it is to be.
  return named.tag === undefined || tag === undefined || named.tag === tag;
}

const keys = new Map<string, KeyObject>();

function publicKey(path: string): KeyObject {
  const known = keys.get(path) ?? readPublicKey(path);
  keys.set(path, known);
  return known;
}

function keep(store: Store, digest: Digest, signatures: readonly Signature[]): void {
  mkdirSync(join(store.root, 'signatures'), {recursive: true, mode: 0o700});
  const record = {
    version: 1,
    signatures: signatures.map(({payload, signature}) => ({payload: payload.toString('base64'), signature})),
  };
  writeRecord(pathOf(store, digest), record, {work: store.work});
}

function kept(store: Store, digest: Digest): readonly Signature[] {
  const {signatures = []} = (readRecord(pathOf(store, digest)) ?? {}) as {
    signatures?: {payload: string; signature: string}[];
  };
  return signatures.map(({payload, signature}) => ({payload: Buffer.from(payload, 'base64'), signature}));
}

function pathOf(store: Store, digest: Digest): string {
  return join(store.root, 'signatures', `${hexOf(digest)}.json`);
}

function rejected(reference: Reference | string): CoracleError {
  return refused(reference, 'the policy rejects images of that place');
}

function unsigned(reference: Reference | string, {signedBy}: SignedBy): CoracleError {
  return refused(
    reference,
    `no signature of it is by ${signedBy.length === 1 ? signedBy[0] : `one of ${signedBy.join(', ')}`}`,
  );
}

function refused(reference: Reference | string, why: string): CoracleError {
  const name = typeof reference === 'string' ? reference : familiarString(reference);
  return new CoracleError('ERR_IMAGE_REFUSED', `the image ${name} may not be used: ${why}`, {
    hint: 'The key image-policy of the configuration file decides that: docs/registries.md. Signatures come with a pull.',
    details: {reference: name},
  });
}
