/**
 * Volumes: `volumes/NAME/_data` for the content, `volume.json` for the rest. A volume exists once its `volume.json`
 * does.
 */
import {randomBytes} from 'node:crypto';
import {existsSync, mkdirSync, readdirSync, renameSync} from 'node:fs';
import {join} from 'node:path';
import {
  chmodBelow,
  isAlive,
  openDirectory,
  type ProcessIdentity,
  readDirectory,
  removeTree,
} from '../binding/index.js';
import {CoracleError} from '../errors.js';
import {copyTree} from './copy-tree.js';
import {withLock} from './lock.js';
import {MergedLayers} from './merged-layers.js';
import {readRecord, writeRecord} from './records.js';
import {Workspace} from './workspace.js';

/** As `docker volume inspect` prints it, keys in its order. */
export interface VolumeRecord {
  /** RFC 3339, whole seconds. */
  readonly CreatedAt: string;
  readonly Driver: 'local';
  readonly Labels: Readonly<Record<string, string>> | null;
  readonly Mountpoint: string;
  readonly Name: string;
  readonly Options: null;
  readonly Scope: 'local';
}

export interface CreateVolumeOptions {
  /** @default 64 hexadecimal digits, as Docker's anonymous volumes */
  readonly name?: string;
  readonly labels?: Readonly<Record<string, string>>;
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

  /** An existing volume of the name is returned as it is. @throws `ERR_INVALID_VOLUME_NAME` with Docker's messages */
  async create({name = this.newName(), labels, owner}: CreateVolumeOptions = {}): Promise<VolumeRecord> {
    checkName(name);
    const existing = this.find(name);
    if (existing !== undefined) return existing;
    await using work = Workspace.open(this.#work);
    const made = join(work.path, 'volume');
    mkdirSync(join(made, '_data'), {recursive: true, mode: 0o700});
    using directory = openDirectory(made);
    chmodBelow(directory.fd, '', 0o701);
    chmodBelow(directory.fd, '_data', 0o755);
    const record: VolumeRecord = {
      CreatedAt: new Date().toISOString().replace(/\.\d+Z$/, 'Z'),
      Driver: 'local',
      Labels: labels ?? null,
      Mountpoint: join(this.#directory, name, '_data'),
      Name: name,
      Options: null,
      Scope: 'local',
    };
    writeRecord(join(made, 'volume.json'), record);
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
   * Removes the volume with its content.
   * @param users ids of the containers that have it: with any, it stays
   * @throws `ERR_VOLUME_NOT_FOUND`, `ERR_VOLUME_IN_USE`
   */
  async remove(name: string, users: readonly string[] = []): Promise<void> {
    this.get(name);
    if (users.length > 0) {
      throw new CoracleError(
        'ERR_VOLUME_IN_USE',
        `remove ${name}: volume is in use - [${users.join(', ')}]`,
        {
          hint: 'Remove the containers first.',
          details: {name, users},
        },
      );
    }
    await using work = Workspace.open(this.#work);
    try {
      renameSync(join(this.#directory, name), join(work.path, 'volume'));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
    await removeTree(work.directory.fd, 'volume');
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
      if (owner === undefined || isAlive(owner) || isThere(owner.id)) continue;
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
    const {Mountpoint} = this.get(name);
    return withLock(join(this.#directory, name, 'lock'), async () => {
      using target = openDirectory(Mountpoint);
      if (!isEmpty(Mountpoint)) return false;
      using image = new MergedLayers(layers);
      const source = image.resolve(Buffer.from(path).toString('latin1'));
      return source !== undefined && (await copyTree(image, source, target.fd));
    });
  }
}

function isEmpty(path: string): boolean {
  using directory = openDirectory(path);
  return readDirectory(directory.fd).next().done === true;
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
