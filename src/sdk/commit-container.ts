/** An image of a container as it is: `docker commit`. */
import {
  type ContainerDefaults,
  checkTag,
  familiarString,
  parseReference,
  type Reference,
  withDefaultTag,
} from '../oci/index.js';
import {containerNotFound, type StoredImage} from '../store/index.js';
import type {ContainerRecord} from './container-files.js';
import {ownersInside} from './copy-archive.js';
import {applyChanges} from './dockerfile-changes.js';
import {envKey} from './env-key.js';
import {type HeldStill, holdContainersStill} from './hold-still.js';
import type {ContainerInspect} from './inspect-record.js';
import {containerEvent, imageEvent} from './record-events.js';
import type {Runtime} from './runtime.js';

export interface CommitContainerOptions {
  /** The image's name, `latest` unless it says another tag. @default none, it has only its id */
  readonly reference?: string;
  readonly author?: string;
  /** For the image's history. */
  readonly message?: string;
  /** Dockerfile instructions that set what a container of it runs: `CMD`, `ENV`, `WORKDIR`, … @default none */
  readonly changes?: readonly string[];
  /** Let it stand still meanwhile, so that the image is of one moment. @default true */
  readonly pause?: boolean;
  readonly signal?: AbortSignal;
}

/** @internal The new image, whose parent is the container's. */
export async function commitContainer(
  runtime: Runtime,
  id: string,
  {reference, author, message, changes = [], pause = true, signal}: CommitContainerOptions,
): Promise<StoredImage> {
  const name = reference === undefined || reference === '' ? undefined : parseName(reference);
  const record = runtime.readContainer(id);
  const parent = runtime.store.imageOfContainer(record.image.id);
  const own = defaultsOf((await runtime.inspectContainer(record)).Config);
  const config = completed(applyChanges(own, changes), own);
  await using _still: HeldStill | undefined = pause ? await holdContainersStill(runtime, [id]) : undefined;
  await using upper = await runtime.store.upperOf(parent, runtime.placesOf(record).writable);
  const stored = await runtime.store
    .commitImage({
      parent,
      upper: upper.path,
      whenRead: () => refuseRemoved(runtime, record),
      config,
      author,
      createdBy: (own.Cmd ?? []).join(' '),
      comment: message,
      references: name === undefined ? [] : [name],
      ids: ownersInside(runtime, record),
      signal,
    })
    .catch(error => {
      refuseRemoved(runtime, record); // its files went while they were read
      throw error;
    });
  const imageRef = name === undefined ? '' : familiarString(name);
  runtime.tell([
    ...(name === undefined ? [] : [imageEvent(stored, 'tag', imageRef)]),
    containerEvent(record, 'commit', {comment: message ?? '', imageID: stored.id, imageRef}),
  ]);
  return stored;
}

function parseName(text: string): Reference {
  const reference = parseReference(text);
  checkTag(reference);
  return withDefaultTag(reference);
}

/** Its removal begins with its name: while it has that, none of its files is gone. @throws `ERR_CONTAINER_NOT_FOUND` */
function refuseRemoved(runtime: Runtime, {id}: ContainerRecord): void {
  const record = runtime.findContainer(id);
  if (record === undefined || runtime.stateOf(record).status === 'removing') throw containerNotFound(id);
}

/** What of a container's configuration an image's is made of: not who it was, nor where its streams went. */
function defaultsOf(config: ContainerInspect['Config']): ContainerDefaults {
  const all = config as Partial<Record<string, unknown>>;
  return withoutEmpty(Object.fromEntries(DEFAULTS.map(key => [key, all[key]])));
}

const DEFAULTS = [
  'User',
  'ExposedPorts',
  'Env',
  'Entrypoint',
  'Cmd',
  'Volumes',
  'WorkingDir',
  'Labels',
  'StopSignal',
  'StopTimeout',
  'Shell',
  'Healthcheck',
  'OnBuild',
] as const satisfies readonly (keyof ContainerDefaults)[];

function withoutEmpty(config: object): ContainerDefaults {
  return Object.fromEntries(Object.entries(config).filter(([, value]) => !isEmpty(value)));
}

function isEmpty(value: unknown): boolean {
  return (
    value === undefined ||
    value === null ||
    value === '' ||
    (typeof value === 'object' && Object.keys(value).length === 0)
  );
}

/** What the changes took away, and dockerd gives back (moby, daemon/commit.go, `merge`). */
function completed(changed: ContainerDefaults, own: ContainerDefaults): ContainerDefaults {
  const keys = new Set((changed.Env ?? []).map(envKey));
  const isBare = isEmpty(changed.Entrypoint) && isEmpty(changed.Cmd);
  return withoutEmpty({
    ...own,
    ...withoutEmpty(changed),
    Env: [...(changed.Env ?? []), ...(own.Env ?? []).filter(variable => !keys.has(envKey(variable)))],
    Cmd: isBare ? own.Cmd : changed.Cmd,
    Entrypoint: changed.Entrypoint ?? own.Entrypoint,
  });
}
