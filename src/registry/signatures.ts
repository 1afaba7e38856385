/** Signatures beside their image: a manifest of payloads under a tag that is made of the image's digest. */
import {
  type ContentDescriptor,
  type Digest,
  digestOf,
  type Manifest,
  MEDIA_TYPES,
  SIGNATURE_TYPES,
  type Signature,
  signatureTag,
} from '../oci/index.js';
import {downloadDocument} from './download-blob.js';
import {fetchManifest, putManifest} from './manifests.js';
import type {Registry} from './registry.js';
import {badResponse, RegistryRefusal} from './registry-error.js';
import {uploadBlob} from './upload-blob.js';

interface Asked {
  readonly signal?: AbortSignal | undefined;
}

/** More than people sign one image. */
const MOST_SIGNATURES = 100;
const PAYLOAD_BYTES = 64 * 1024;

/** None when nobody has signed it. Nothing says that they are true. */
export async function fetchSignatures(
  registry: Registry,
  repository: string,
  digest: Digest,
  {signal}: Asked = {},
): Promise<readonly Signature[]> {
  const manifest = await findManifest(registry, repository, digest, signal);
  const layers = (manifest?.layers ?? []).filter(({mediaType}) => mediaType === SIGNATURE_TYPES.payload);
  if (layers.length > MOST_SIGNATURES) {
    throw badResponse(registry.name, `has more than ${MOST_SIGNATURES} signatures of ${digest}`);
  }
  const signatures: Signature[] = [];
  for (const layer of layers) {
    const signature = layer.annotations?.[SIGNATURE_TYPES.annotation];
    if (signature === undefined) continue; // another kind, such as one without a key
    const payload = await downloadDocument(registry, repository, layer, {mostBytes: PAYLOAD_BYTES, signal});
    signatures.push({payload, signature});
  }
  return signatures;
}

/** Puts one more beside those that are there. */
export async function addSignature(
  registry: Registry,
  repository: string,
  digest: Digest,
  {payload, signature}: Signature,
  {signal}: Asked = {},
): Promise<void> {
  const before = (await findManifest(registry, repository, digest, signal))?.layers ?? [];
  const layer: ContentDescriptor = {
    mediaType: SIGNATURE_TYPES.payload,
    digest: digestOf(payload),
    size: payload.length,
    annotations: {[SIGNATURE_TYPES.annotation]: signature},
  };
  const layers = [...before, layer];
  const config = Buffer.from(JSON.stringify(configOf(layers)));
  await uploadDocument(registry, repository, payload, signal);
  await uploadDocument(registry, repository, config, signal);
  const manifest = {
    schemaVersion: 2,
    mediaType: MEDIA_TYPES.ociManifest,
    config: {mediaType: MEDIA_TYPES.ociConfig, size: config.length, digest: digestOf(config)},
    layers,
  };
  await putManifest(registry, repository, signatureTag(digest), {
    bytes: Buffer.from(JSON.stringify(manifest)),
    mediaType: MEDIA_TYPES.ociManifest,
    signal,
  });
}

/** As cosign's: registries want the configuration of an image. */
function configOf(layers: readonly ContentDescriptor[]) {
  return {
    architecture: '',
    created: '0001-01-01T00:00:00Z',
    history: layers.map(() => ({created: '0001-01-01T00:00:00Z'})),
    os: '',
    rootfs: {type: 'layers', diff_ids: layers.map(({digest}) => digest)},
    config: {},
  };
}

async function findManifest(
  registry: Registry,
  repository: string,
  digest: Digest,
  signal: AbortSignal | undefined,
): Promise<Manifest | undefined> {
  try {
    const {document} = await fetchManifest(registry, repository, signatureTag(digest), {signal});
    return document.kind === 'manifest' ? document : undefined;
  } catch (error) {
    if (error instanceof RegistryRefusal && error.status === 404) return undefined;
    throw error;
  }
}

async function uploadDocument(
  registry: Registry,
  repository: string,
  bytes: Buffer,
  signal: AbortSignal | undefined,
): Promise<void> {
  const source = {
    digest: digestOf(bytes),
    size: bytes.length,
    read: async function* (start: number, end: number) {
      yield bytes.subarray(start, end);
    },
  };
  await uploadBlob(registry, repository, source, {signal});
}
