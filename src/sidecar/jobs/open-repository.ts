import {CoracleError} from '../../errors.js';
import {type InRuntime, type Limits, Runtime} from '../../sdk/index.js';
import type {KeySource} from '../layout/chunk-store.js';
import type {Repository} from '../repository.js';

export type {KeySource};

export interface OpenRepositoryOptions {
  /** @default none: a repository of our own kinds must have none either, restic's always has one */
  readonly key?: KeySource | undefined;
  /** Makes the repository where there is none, with the key if there is one. @default false */
  readonly create?: boolean | undefined;
  /** Of the sidecars, such as `{memoryBytes: 512 * 1024 ** 2, cpus: 0.5}`. @default 64 processes */
  readonly limits?: Limits | undefined;
  /** @internal Volumes that are read next: a sidecar may start for them while the repository is opened. */
  readonly toRead?: readonly string[] | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A repository that is open already, or what opens one for the time of the work. */
export interface InRepository extends OpenRepositoryOptions {
  /** A directory, `registry://HOST/NAME`, `restic:REPOSITORY` as restic knows it, or an open one. */
  readonly repository: string | Repository;
}

/**
 * Opens a repository of backups: a directory (an OCI layout), `registry://HOST[:PORT]/NAME`, or `restic:REPOSITORY`, where the
 * rest is what `restic --repo` takes.
 * @throws `ERR_REPOSITORY_NOT_FOUND` without `create`, `ERR_REPOSITORY_KEY`, `ERR_REPOSITORY_DAMAGED`, `ERR_INVALID_OPTION`
 */
export async function openRepository(
  url: string,
  options: OpenRepositoryOptions = {},
  in_: InRuntime = {},
): Promise<Repository> {
  const runtime = in_.runtime ?? (await Runtime.default());
  options.signal?.throwIfAborted();
  return await KINDS[kindOf(url)](url, options, runtime);
}

type Kind = Repository['kind'];

/** By its beginning. @throws `ERR_INVALID_OPTION` for another scheme */
export function kindOf(url: string): Kind {
  if (url.startsWith('registry://')) return 'registry';
  if (url.startsWith('restic:')) return 'restic';
  const [, scheme] = /^([a-z][a-z\d+.-]*):\/\//i.exec(url) ?? [];
  if (scheme === undefined && url !== '') return 'layout';
  throw new CoracleError('ERR_INVALID_OPTION', `${JSON.stringify(url)} is no repository that is known here`, {
    hint: 'A directory, registry://HOST/NAME, or restic:REPOSITORY; restic knows S3, SFTP and REST servers.',
  });
}

const KINDS: Record<
  Kind,
  (url: string, options: OpenRepositoryOptions, runtime: Runtime) => Promise<Repository>
> = {
  layout: openOwn,
  registry: openOwn,
  restic: async (url, options, runtime) =>
    (await import('../restic/index.js')).openRestic(url, options, runtime),
};

async function openOwn(url: string, options: OpenRepositoryOptions, runtime: Runtime): Promise<Repository> {
  const {openLayoutRepository} = await import('../tree/open-layout-repository.js');
  return await openLayoutRepository(url, options, runtime);
}

/** One that was opened by this is closed after the work. */
export async function withRepository<T>(
  {repository, ...options}: InRepository,
  runtime: Runtime,
  work: (repository: Repository) => Promise<T>,
): Promise<T> {
  if (typeof repository !== 'string') return await work(repository);
  await using opened = await openRepository(repository, options, {runtime});
  return await work(opened);
}
