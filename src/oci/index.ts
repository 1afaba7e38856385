/** The vocabulary of images: names, digests, platforms, manifests, configurations. Pure: no input, no output. */
export * as readJson from './bounded-json.js';
export {
  DOCUMENT_BYTES,
  type JsonObject,
  list,
  object,
  optional,
  parseObject,
  string,
  strings,
} from './bounded-json.js';
export {
  chainId,
  chainIds,
  type Digest,
  digestOf,
  finishDigest,
  hexOf,
  isDigest,
  parseDigest,
} from './digest.js';
export {
  type ContainerDefaults,
  type Healthcheck,
  type HistoryEntry,
  type ImageConfig,
  parseImageConfig,
} from './image-config.js';
export {type ContentDescriptor, type Index, type Manifest, MEDIA_TYPES, parseManifest} from './manifest.js';
export {formatPlatform, type Platform, parsePlatform, platformMatches, platformOf} from './platform.js';
export {
  canonicalString,
  checkTag,
  familiarName,
  familiarString,
  parseReference,
  type Reference,
  withDefaultTag,
} from './reference.js';
export {
  SIGNATURE_TYPES,
  type Signature,
  type SignedClaim,
  signatureTag,
  signClaim,
  verifyClaim,
} from './simple-signing.js';
