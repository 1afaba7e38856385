import {familiarString, type JsonObject, parseObject, withDefaultTag} from '../oci/index.js';
import {
  type ArchivedImageFacts,
  type ArchiveSource,
  inspectArchive,
  type StoredImage,
} from '../store/index.js';
import {sortedOrNull} from './go-values.js';

export interface ImageInspect {
  readonly [key: string]: unknown;
}

type Facts = Pick<
  StoredImage,
  | 'id'
  | 'repoTags'
  | 'repoDigests'
  | 'parent'
  | 'tagged'
  | 'created'
  | 'author'
  | 'architecture'
  | 'variant'
  | 'os'
  | 'size'
  | 'diffIds'
> & {
  /** Its configuration as it was written: fields that say how it was made are shown, and mean nothing here. */
  readonly document: Buffer;
  /** What the layers are kept by, and where; none for an image that is not in the store. */
  readonly graphDriver: {readonly Data: Readonly<Record<string, string>>; readonly Name: string};
};

/** Docker's inspect document of an image, in the key order of the Engine API 1.41. Pure. @throws `ERR_INVALID_IMAGE` */
export function inspectImage(facts: Facts): ImageInspect {
  const {diffIds, architecture, os, variant, size, author} = facts;
  const document = parseObject(facts.document, 'the image configuration');
  const text = (name: string) => asText(document[name]);
  return {
    Id: facts.id,
    RepoTags: facts.repoTags,
    RepoDigests: facts.repoDigests,
    Parent: facts.parent ?? '',
    Comment: text('comment') || lastComment(document['history']),
    Created: facts.created ?? '0001-01-01T00:00:00Z',
    Container: text('container'),
    ContainerConfig: containerConfig(asObject(document['container_config']) ?? {}),
    DockerVersion: text('docker_version'),
    Author: author ?? '',
    Config: containerConfig(asObject(document['config']) ?? {}),
    Architecture: architecture,
    ...(variant !== undefined && {Variant: variant}),
    Os: os,
    Size: size,
    VirtualSize: size,
    GraphDriver: facts.graphDriver,
    RootFS: {Type: 'layers', ...(diffIds.length > 0 && {Layers: diffIds})},
    Metadata: {LastTagTime: facts.tagged ?? '0001-01-01T00:00:00Z'},
  };
}

/** Of an image without one of its own, what was last said of a step of its making. */
function lastComment(history: unknown): string {
  return asText(asObject(Array.isArray(history) ? history.at(-1) : undefined)?.['comment']);
}

/** Every field of Docker's, in its order; those that Docker leaves out when they are empty are left out. */
function containerConfig(config: JsonObject) {
  const text = (name: string) => asText(config[name]);
  const flag = (name: string) => config[name] === true;
  const value = (name: string) => config[name] ?? null;
  const map = (name: string) => sortedOrNull(asObject(config[name]));
  const given = (name: string, own = config[name]) => {
    const isEmpty =
      own === undefined || own === null || own === '' || own === false || Object.keys(own).length === 0;
    return isEmpty && typeof own !== 'number' ? {} : {[name]: own};
  };
  return {
    Hostname: text('Hostname'),
    Domainname: text('Domainname'),
    User: text('User'),
    AttachStdin: flag('AttachStdin'),
    AttachStdout: flag('AttachStdout'),
    AttachStderr: flag('AttachStderr'),
    ...given('ExposedPorts', map('ExposedPorts')),
    Tty: flag('Tty'),
    OpenStdin: flag('OpenStdin'),
    StdinOnce: flag('StdinOnce'),
    Env: value('Env'),
    Cmd: value('Cmd'),
    ...given('Healthcheck'),
    ...given('ArgsEscaped'),
    Image: text('Image'),
    Volumes: map('Volumes'),
    WorkingDir: text('WorkingDir'),
    Entrypoint: value('Entrypoint'),
    ...given('NetworkDisabled'),
    ...given('MacAddress'),
    OnBuild: value('OnBuild'),
    Labels: map('Labels'),
    ...given('StopSignal'),
    ...given('StopTimeout'),
    ...given('Shell'),
  };
}

function asText(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function asObject(value: unknown): JsonObject | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as JsonObject)
    : undefined;
}

/**
 * The images of an archive (`docker save`, OCI) or of a directory with an OCI image layout, without loading them:
 * `Size` is then that of the layers as they lie there.
 * @throws `ERR_INVALID_IMAGE`, `ERR_DIGEST_MISMATCH`, `ERR_FILE_NOT_FOUND`, `ERR_FILE_UNREADABLE`, `ERR_PLATFORM_MISSING`
 */
export async function inspectArchivedImages(source: ArchiveSource): Promise<ImageInspect[]> {
  return (await inspectArchive(source)).map(image => inspectImage(factsOf(image)));
}

function factsOf({id, config, document, references, layerBytes}: ArchivedImageFacts): Facts {
  const names = references.map(reference => familiarString(withDefaultTag(reference)));
  return {
    id,
    repoTags: names.filter(name => !name.includes('@')),
    repoDigests: names.filter(name => name.includes('@')),
    ...(config.created !== undefined && {created: config.created}),
    ...(config.author !== undefined && {author: config.author}),
    ...(config.variant !== undefined && {variant: config.variant}),
    document,
    architecture: config.architecture,
    os: config.os,
    size: layerBytes,
    diffIds: config.rootfs.diff_ids,
    graphDriver: {Data: {}, Name: 'overlay2'},
  };
}
