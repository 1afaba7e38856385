/**
 * Volumes: `volumes/NAME/_data` for the content, on Btrfs a subvolume, `volume.json` for the rest. A volume exists once its
 * `volume.json` does. `claim` is locked by who is about to use it; `mounted/` and `shared/`, with a lock each, tell of containers: see
 * `plan-volumes.ts` of the SDK.
 */
import {randomBytes} from 'node:crypto';
import {existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {
  chmodBelow,
  type Descriptor,
  isAlive,
  isSubvolume,
  LOCK_SHARED,
  mkdirBelow,
  openDirectory,
  type ProcessIdentity,
  RENAME_EXCHANGE,
  removeTree,
  renameBelow,
  syncFileSystem,
  tryMakeSubvolume,
  tryRemoveSubvolume,
} from '../binding/index.js';
import {CoracleError} from '../errors.js';
import {type FillPlace, fillVolume, resumeFill} from './fill-volume.js';
import {Flushing} from './flushing.js';
import {acquireIn, withLock} from './lock.js';
import {MergedLayers} from './merged-layers.js';
import {readRecord, writeRecord} from './records.js';
import {
  checkVolumeOptions,
  fileSystemOf,
  type VolumeDriverOptions,
  type VolumeFileSystem,
} from './volume-options.js';
import {Workspace} from './workspace.js';

/** As `docker volume inspect` prints it, keys in its order. */
export interface VolumeRecord {
  /** RFC 3339, whole seconds. */
  readonly CreatedAt: string;
  readonly Driver: 'local';
  readonly Labels: Readonly<Record<string, string>> | null;
  readonly Mountpoint: string;
  readonly Name: string;
  /** Of the driver: `type`, `device`, `o`. */
  readonly Options: VolumeDriverOptions | null;
  readonly Scope: 'local';
}

export interface CreateVolumeOptions {
  /** @default 64 hexadecimal digits, as Docker's anonymous volumes */
  readonly name?: string;
  readonly labels?: Readonly<Record<string, string>>;
  /** @default 'local', the only one there is */
  readonly driver?: string;
  /** Of the driver. @default none: a directory of the store's */
  readonly options?: VolumeDriverOptions;
  /** The container that it goes with, and the process that sees to that. @default none: it stays until it is removed */
  readonly owner?: VolumeOwner;
}

export interface VolumeOwner extends ProcessIdentity {
  /** Of the container. */
  readonly id: string;
}

export class Volumes {
  readonly #directory: string;
  readonly #work: string;

  constructor(directory: string, work: string) {
    this.#directory = directory;
    this.#work = work;
  }

  /** Of a volume, whether it exists or not: its data and what is known of it. */
  directory(name: string): string {
    return join(this.#directory, name);
  }

  newName(): string {
    return randomBytes(32).toString('hex');
  }

  /**
   * An existing volume of the name is returned as it is.
   * @throws `ERR_INVALID_VOLUME_NAME`, `ERR_INVALID_VOLUME_OPTION`, `ERR_PLUGINS_UNSUPPORTED` with Docker's messages
   */
  async create({
    name = this.newName(),
    labels,
    driver = 'local',
    options,
    owner,
  }: CreateVolumeOptions = {}): Promise<VolumeRecord> {
    if (driver !== 'local' && driver !== '') throw noPlugin(name, driver);
    checkName(name);
    const existing = this.find(name);
    if (existing !== undefined) return existing;
    if (options !== undefined) checkVolumeOptions(name, options);
    const hasOptions = options !== undefined && Object.keys(options).length > 0;
    await using work = Workspace.open(this.#work);
    const made = this.#makeDirectory(work.path, name, labels ?? null, hasOptions ? options : null);
    if (owner !== undefined) writeRecord(join(made, 'owner.json'), owner);
    try {
      renameSync(made, join(this.#directory, name));
    } catch (error) {
      if (!['ENOTEMPTY', 'EEXIST'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
    }
    return this.get(name);
  }

  /** @throws `ERR_VOLUME_NOT_FOUND` with Docker's message */
  get(name: string): VolumeRecord {
    const record = this.find(name);
    if (record !== undefined) return record;
    throw new CoracleError('ERR_VOLUME_NOT_FOUND', `get ${name}: no such volume`, {
      hint: 'See what there is: coracle volume ls',
      details: {name},
    });
  }

  find(name: string): VolumeRecord | undefined {
    if (!NAME.test(name)) return undefined;
    return readRecord(join(this.#directory, name, 'volume.json')) as VolumeRecord | undefined;
  }

  /** By name. */
  list(): VolumeRecord[] {
    return readdirSync(this.#directory)
      .sort()
      .map(name => this.find(name))
      .filter(record => record !== undefined);
  }

  /**
   * Makes a new volume with content: it is there when that is complete, or not at all.
   * With an owner it goes with that.
   * @param durable whether it has to outlive a power cut; by default unless it has an owner
   * @param fill writes below a descriptor of the empty directory, and makes its owner, mode and times
   * @throws `ERR_VOLUME_EXISTS`, and as `create`
   */
  async createFilled(
    {
      name,
      labels,
      owner,
      durable = owner === undefined,
    }: Pick<CreateVolumeOptions, 'labels' | 'owner'> & {readonly name: string; readonly durable?: boolean},
    fill: (data: number, path: string) => Promise<void>,
  ): Promise<VolumeRecord> {
    checkName(name);
    if (this.find(name) !== undefined) throw volumeExists(name);
    await using work = Workspace.open(this.#work);
    const made = this.#makeDirectory(work.path, name, labels ?? null, null);
    {
      using data = openDirectory(join(made, '_data'));
      await fill(data.fd, join(made, '_data'));
      if (durable) await syncFileSystem(data.fd);
      if (owner !== undefined) writeRecord(join(made, 'owner.json'), owner, {durable: false});
    }
    try {
      renameSync(made, join(this.#directory, name));
    } catch (error) {
      if (['ENOTEMPTY', 'EEXIST'].includes((error as NodeJS.ErrnoException).code ?? ''))
        throw volumeExists(name);
      throw error;
    }
    return this.get(name);
  }

  /**
   * Gives a volume that is there other content: all at once when that is complete, or not at all. What has to outlive a power
   * cut is what it had, until the other is on disk; where it had nothing, nobody waits for that.
   * @param fill says how many bytes it has written by then
   * @param mayReplace asked at last, when nobody can begin to use it; throws what stands against it
   */
  async replaceContent(
    name: string,
    fill: (path: string, reach: (bytes: number) => void) => Promise<void>,
    mayReplace: () => void,
  ): Promise<VolumeRecord> {
    const record = this.get(name);
    await using work = Workspace.open(this.#work);
    const made = join(work.path, '_data');
    makeData(work.directory.fd);
    const hadContent = !this.isEmpty(name);
    await using flushing = new Flushing(work.directory.fd);
    await fill(made, bytes => {
      if (hadContent) flushing.reach(bytes);
    });
    if (hadContent || !this.isEmpty(name)) await flushing.end();
    using claim = await acquireIn(this.directory(name), 'claim');
    if (claim === undefined) return this.get(name); // removed meanwhile: says so
    mayReplace();
    using root = openDirectory('/');
    renameBelow(root.fd, made, record.Mountpoint, RENAME_EXCHANGE); // what it had goes with the workspace
    return record;
  }

  /** Whether a volume has no content. */
  isEmpty(name: string): boolean {
    return readdirSync(this.get(name).Mountpoint).length === 0;
  }

  /** What it will be when it is renamed to its place. */
  #makeDirectory(
    work: string,
    name: string,
    labels: VolumeRecord['Labels'],
    options: VolumeRecord['Options'],
  ): string {
    const made = join(work, 'volume');
    mkdirSync(made, {mode: 0o700});
    using directory = openDirectory(made);
    chmodBelow(directory.fd, '', 0o701);
    makeData(directory.fd);
    const record: VolumeRecord = {
      CreatedAt: new Date().toISOString().replace(/\.\d+Z$/, 'Z'),
      Driver: 'local',
      Labels: labels,
      Mountpoint: join(this.#directory, name, '_data'),
      Name: name,
      Options: options,
      Scope: 'local',
    };
    writeRecord(join(made, 'volume.json'), record);
    return made;
  }

  /**
   * As `create`, and nobody removes it until the descriptor is closed: for the time until a container that has it is
   * recorded.
   */
  async claim(options: CreateVolumeOptions & {readonly name: string}): Promise<Descriptor> {
    for (;;) {
      await this.create(options);
      const claim = await acquireIn(this.directory(options.name), 'claim', {operation: LOCK_SHARED});
      if (claim !== undefined) return claim; // else it was removed meanwhile
    }
  }

  /** Where it is mounted while somebody uses it, and what; undefined for a directory of the store's. */
  fileSystem(name: string): VolumeFileSystem | undefined {
    return fileSystemOf(this.get(name).Options);
  }

  /**
   * Removes the volume with its content.
   * @param users tells the ids of the containers that have it: with any, it stays
   * @throws `ERR_VOLUME_NOT_FOUND`, `ERR_VOLUME_IN_USE`
   */
  async remove(name: string, users: () => readonly string[] = () => []): Promise<void> {
    this.get(name);
    this.#refuseUsed(name, users());
    using claim = await acquireIn(this.directory(name), 'claim');
    if (claim === undefined) return; // somebody else removed it
    this.#refuseUsed(name, users());
    await using work = Workspace.open(this.#work);
    try {
      renameSync(join(this.#directory, name), join(work.path, 'volume'));
      using volume = openDirectory(join(work.path, 'volume'));
      tryRemoveSubvolume(volume.fd, '_data'); // in one step; file by file goes as well
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
    await removeTree(work.directory.fd, 'volume');
  }

  #refuseUsed(name: string, users: readonly string[]): void {
    if (users.length === 0) return;
    throw new CoracleError('ERR_VOLUME_IN_USE', `remove ${name}: volume is in use - [${users.join(', ')}]`, {
      hint: 'Remove the containers first.',
      details: {name, users},
    });
  }

  /** Those that were mounted for somebody, and by what names: see `mounted/`. */
  mounted(
    names: readonly string[] = readdirSync(this.#directory),
  ): {readonly name: string; readonly users: readonly string[]}[] {
    return names.flatMap(name => {
      const users = entriesOf(join(this.#directory, name, 'mounted'));
      return users === undefined ? [] : [{name, users}];
    });
  }

  /** It goes with the last of these containers, and not with the first. @throws `ERR_VOLUME_NOT_FOUND` */
  async share(name: string, containerIds: readonly string[]): Promise<void> {
    const directory = this.directory(name);
    // The plan of the container that it goes with takes this lock as well.
    using _lock = await acquireIn(directory, 'share.lock');
    this.get(name); // still there?
    const shared = join(directory, 'shared');
    mkdirSync(shared, {recursive: true, mode: 0o700});
    for (const id of containerIds) writeFileSync(join(shared, id), '', {mode: 0o600});
  }

  /** A container that shares it is gone, or never came to be. */
  unshare(name: string, containerId: string): void {
    rmSync(join(this.directory(name), 'shared', containerId), {force: true});
  }

  #isShared(name: string, isThere: (containerId: string) => boolean): boolean {
    const ids = entriesOf(join(this.directory(name), 'shared')) ?? [];
    for (const id of ids) if (!isThere(id)) this.unshare(name, id);
    return ids.some(isThere);
  }

  /**
   * Removes those whose owner died before it could, unless `isThere` says that their container is, and what is left of those
   * that were removed half.
   */
  async sweepOrphans(isThere: (containerId: string) => boolean): Promise<void> {
    for (const name of readdirSync(this.#directory)) {
      if (!existsSync(join(this.#directory, name, 'volume.json'))) {
        using volumes = openDirectory(this.#directory);
        await removeTree(volumes.fd, name);
        continue;
      }
      const owner = readRecord(join(this.#directory, name, 'owner.json')) as VolumeOwner | undefined;
      const isShared = this.#isShared(name, isThere);
      if (owner === undefined || isAlive(owner) || isThere(owner.id) || isShared) continue;
      if (this.find(name) !== undefined) await this.remove(name);
    }
  }

  /**
   * Fills a volume that is empty with what the image has at `path`: files, owners, modes, attributes, hard links.
   * Symlinks on the way are resolved inside the image. Nothing there, or no directory: the volume stays empty.
   * @param layers directories of the image's layers, bottom first
   * @returns whether something was copied
   */
  async copyUp(name: string, layers: readonly string[], path: string): Promise<boolean> {
    const place = this.#fillPlace(name);
    return withLock(join(place.directory, 'lock'), async () => {
      await resumeFill(place);
      using image = new MergedLayers(layers);
      return await fillVolume(place, image, path); // with the image open
    });
  }

  /** Finishes or throws away what a process that was killed had begun to copy into it. */
  async settle(name: string): Promise<void> {
    const place = this.#fillPlace(name);
    await withLock(join(place.directory, 'lock'), () => resumeFill(place));
  }

  #fillPlace(name: string): FillPlace {
    const directory = this.directory(name);
    const isApart = this.fileSystem(name) !== undefined || isSubvolume(join(directory, '_data'));
    return {directory, isApart};
  }
}

/** A volume's directory of content. */
function makeData(directory: number): void {
  if (!tryMakeSubvolume(directory, '_data')) mkdirBelow(directory, '_data', 0o700);
  chmodBelow(directory, '_data', 0o755);
}

/** Undefined when there is no such directory. */
function entriesOf(directory: string): string[] | undefined {
  try {
    return readdirSync(directory);
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
}

function volumeExists(name: string): CoracleError {
  return new CoracleError('ERR_VOLUME_EXISTS', `create ${name}: the volume is there already`, {
    hint: 'Take another name, or remove it first.',
    details: {name},
  });
}

function noPlugin(name: string, driver: string): CoracleError {
  return new CoracleError(
    'ERR_PLUGINS_UNSUPPORTED',
    `create ${name}: error looking up volume plugin ${driver}: plugin ${JSON.stringify(driver)} not found`,
    {
      hint: 'Docker’s plugins are programs for dockerd; the driver here is local, which mounts what the kernel can: --opt type=nfs, cifs, …',
      details: {name, driver},
    },
  );
}

function checkName(name: string): void {
  if (name.length === 1) {
    throw new CoracleError(
      'ERR_INVALID_VOLUME_NAME',
      `create ${name}: volume name is too short, names should be at least two alphanumeric characters`,
    );
  }
  if (NAME.test(name) && name.length <= 255) return;
  throw new CoracleError(
    'ERR_INVALID_VOLUME_NAME',
    `create ${name}: "${name}" includes invalid characters for a local volume name, only ` +
      '"[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path',
  );
}

/** moby, volume/local/local.go. */
const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/;
