import {
  type ArchiveSource,
  archiveVolume,
  copyVolume,
  SubvolumeCopy,
  unpackVolume,
  type VolumeRecord,
} from '../store/index.js';
import {sortedOrNull} from './go-values.js';
import type {InRuntime} from './image.js';
import {type Pruned, pruneVolumes} from './prune.js';
import {volumeEvent} from './record-events.js';
import {Runtime} from './runtime.js';
import {treeSize} from './tree-size.js';
import {mountVolume, removeVolume, whileMounted} from './use-volumes.js';

export interface VolumeOptions {
  /** Letters, digits, `_.-`, at least two. @default 64 hexadecimal digits: an anonymous volume */
  readonly name?: string;
  readonly labels?: Readonly<Record<string, string>>;
  /** @default 'local', the only one there is */
  readonly driver?: string;
  /**
   * With `type`, `device` and `o`, as mount(8) has them, the volume is that file system, mounted while somebody uses it:
   * `{type: 'tmpfs', device: 'tmpfs', o: 'size=100m'}`. @default {}: a directory of the store's
   */
  readonly driverOptions?: Readonly<Record<string, string>>;
}

/** Data that outlives containers: a directory of the store's. */
export class Volume {
  readonly name: string;
  /** Where its data is on the host. */
  readonly mountpoint: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly #runtime: Runtime;
  readonly #record: VolumeRecord;

  private constructor(runtime: Runtime, record: VolumeRecord) {
    this.#runtime = runtime;
    this.#record = record;
    this.name = record.Name;
    this.mountpoint = record.Mountpoint;
    this.labels = record.Labels ?? {};
  }

  /**
   * One that exists already is returned as it is.
   * @throws `ERR_INVALID_VOLUME_NAME`, `ERR_INVALID_VOLUME_OPTION`, `ERR_PLUGINS_UNSUPPORTED`, `ERR_QUOTA_UNSUPPORTED`
   */
  static async create(options: VolumeOptions = {}, in_: InRuntime = {}): Promise<Volume> {
    const runtime = in_.runtime ?? (await Runtime.default());
    const {volumes} = runtime.store;
    const isNew = options.name === undefined || volumes.find(options.name) === undefined;
    const {driverOptions, ...others} = options;
    const record = await volumes.create({...others, ...(driverOptions && {options: driverOptions})});
    if (isNew) runtime.tell([volumeEvent(record.Name, 'create')]);
    return new Volume(runtime, record);
  }

  /** @throws `ERR_VOLUME_NOT_FOUND` */
  static async get(name: string, in_: InRuntime = {}): Promise<Volume> {
    const runtime = in_.runtime ?? (await Runtime.default());
    return new Volume(runtime, runtime.store.volumes.get(name));
  }

  /** By name. */
  static async list(in_: InRuntime = {}): Promise<Volume[]> {
    const runtime = in_.runtime ?? (await Runtime.default());
    return runtime.store.volumes.list().map(record => new Volume(runtime, record));
  }

  /** Removes those that no container has: see `pruneVolumes`. */
  static async prune(
    options: Parameters<typeof pruneVolumes>[0] = {},
    in_: InRuntime = {},
  ): Promise<Pruned<string>> {
    return pruneVolumes(options, in_);
  }

  /** Ids of the containers that have it, running or not. */
  users(): readonly string[] {
    return this.#runtime.volumeUsers(this.name);
  }

  /** Removes it with its data. @throws `ERR_VOLUME_IN_USE`, `ERR_VOLUME_NOT_FOUND` */
  async remove(): Promise<void> {
    await removeVolume(this.#runtime, this.name, () => this.users());
    this.#runtime.tell([volumeEvent(this.name, 'destroy')]);
  }

  /** Bytes of its files, as `system df` counts them. @throws `ERR_VOLUME_NOT_FOUND`, `ERR_VOLUME_MOUNT` */
  async size(): Promise<number> {
    return whileMounted(this.#runtime, this.name, treeSize);
  }

  /**
   * A new volume with the same content: on file systems that can (XFS, Btrfs) it shares the blocks, and takes no time and no
   * room. What containers write meanwhile may be in it or not; pause them for a copy of one moment. (On Btrfs it is of one.)
   * @throws `ERR_VOLUME_EXISTS`, `ERR_VOLUME_NOT_FOUND`, `ERR_INVALID_VOLUME_NAME`
   */
  async clone(name: string, {labels}: Pick<VolumeOptions, 'labels'> = {}): Promise<Volume> {
    const isOwn = this.#runtime.store.volumes.fileSystem(this.name) === undefined;
    return whileMounted(this.#runtime, this.name, mountpoint =>
      Volume.#fill(this.#runtime, name, labels, async (data, path) => {
        using whole = isOwn ? SubvolumeCopy.between(mountpoint, path) : undefined;
        await whole?.prepare();
        await (whole === undefined ? copyVolume(mountpoint, data) : whole.take());
      }),
    );
  }

  /**
   * As a tar archive, uncompressed: owners, modes, times, attributes, ACLs, hard links, holes, devices, and those of its root
   * directory. GNU tar reads it.
   * @throws `ERR_VOLUME_NOT_FOUND`, `ERR_VOLUME_MOUNT`
   */
  async *export({signal}: {readonly signal?: AbortSignal} = {}): AsyncGenerator<Uint8Array, void, void> {
    await using mounted = await mountVolume(this.#runtime, this.name);
    yield* archiveVolume(mounted.mountpoint, signal);
  }

  /**
   * A new volume from a tar archive, plain or compressed by gzip or zstd: a path, or its bytes. It is there when all of it is,
   * or not at all.
   * @throws `ERR_INVALID_ARCHIVE`, `ERR_VOLUME_EXISTS`, `ERR_FILE_NOT_FOUND`, `ERR_INVALID_VOLUME_NAME`
   */
  static async import(
    name: string,
    source: ArchiveSource,
    {labels, signal}: Pick<VolumeOptions, 'labels'> & {readonly signal?: AbortSignal} = {},
    in_: InRuntime = {},
  ): Promise<Volume> {
    const runtime = in_.runtime ?? (await Runtime.default());
    return Volume.#fill(runtime, name, labels, data => unpackVolume(source, data, signal));
  }

  static async #fill(
    runtime: Runtime,
    name: string,
    labels: VolumeOptions['labels'],
    fill: (data: number, path: string) => Promise<void>,
  ): Promise<Volume> {
    const record = await runtime.store.volumes.createFilled({name, ...(labels && {labels})}, fill);
    runtime.tell([volumeEvent(name, 'create')]);
    return new Volume(runtime, record);
  }

  /** Docker's inspect document of a volume. */
  inspect(): VolumeRecord {
    const {Labels, Options} = this.#record;
    return {...this.#record, Labels: sortedOrNull(Labels), Options: sortedOrNull(Options)};
  }
}
