/** What the artifacts of a repository of backups are called, in manifests and in the index: docs/backup-format.md. */

const PREFIX = 'application/vnd.coracle.backup';

/** Of manifests. */
export const ARTIFACTS = {
  repository: `${PREFIX}.repository.v1`,
  snapshot: `${PREFIX}.snapshot.v1`,
  result: `${PREFIX}.result.v1`,
} as const;

/** Of blobs; with a key `+encrypted` follows. */
export const BLOBS = {
  repository: `${PREFIX}.repository.config.v1+json`,
  snapshot: `${PREFIX}.snapshot.config.v1+json`,
  result: `${PREFIX}.result.config.v1+json`,
  index: `${PREFIX}.index.v1`,
  uses: `${PREFIX}.uses.v1`,
  pack: `${PREFIX}.pack.v1`,
} as const;

export type BlobKind = keyof typeof BLOBS;

export const ENCRYPTED = '+encrypted';

/** The blob of an artifact that has nothing but a config: image-spec, manifest.md, "Guidance for an Empty Descriptor". */
export const EMPTY = {mediaType: 'application/vnd.oci.empty.v1+json', content: Buffer.from('{}')} as const;

/** Under which a repository's artifacts are found: tags of a registry, `org.opencontainers.image.ref.name` of a layout. */
export const REPOSITORY_NAME = 'repository';

/** 64 bits of an id: enough to tell snapshots apart, short enough to be typed. */
const NAME_DIGITS = 16;

export function snapshotName(id: string): string {
  return `snapshot-${digits(id)}`;
}

export function resultName(id: string): string {
  return `result-${digits(id)}`;
}

/** Of what a name is; undefined for names of others. */
export function kindOf(name: string): keyof typeof ARTIFACTS | undefined {
  if (name === REPOSITORY_NAME) return 'repository';
  return name.startsWith('snapshot-') ? 'snapshot' : name.startsWith('result-') ? 'result' : undefined;
}

function digits(id: string): string {
  return id.slice('sha256:'.length, 'sha256:'.length + NAME_DIGITS);
}
