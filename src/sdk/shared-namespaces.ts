/** Namespaces of another container that a start joins: pinned by descriptors, so that pids mean nothing any more. */
import {closeSync, constants, openSync} from 'node:fs';
import {
  Descriptor,
  fileSystemMagic,
  isAlive,
  isErrno,
  O_PATH,
  openBelow,
  type ProcessIdentity,
} from '../binding/index.js';
import {CoracleError} from '../errors.js';
import type {ContainerConfig} from './container-config.js';
import {noteSharedNetwork} from './container-files.js';
import type {ContainerState} from './container-state.js';

/** What a start is handed besides the standard streams, in the order of `sharedSlots`. */
export class SharedNamespaces implements Disposable {
  readonly descriptors: readonly number[];
  readonly #open: readonly Descriptor[];

  constructor(open: readonly Descriptor[]) {
    this.#open = open;
    this.descriptors = open.map(({fd}) => fd);
  }

  [Symbol.dispose](): void {
    for (const descriptor of this.#open) descriptor.close();
  }
}

/** A container that another wants to share with. */
export interface Donor {
  readonly config: Pick<ContainerConfig, 'id' | 'ipc' | 'userNamespace'>;
  readonly state: ContainerState;
  readonly process: ProcessIdentity | undefined;
  /** Of its files. */
  readonly directory: string;
}

type Sharing = Pick<ContainerConfig, 'pid' | 'ipc' | 'network'>;

/** Which descriptors a start gets, and which come first: the pid namespace, then IPC, mount namespace and /dev/shm, network. */
export function sharedSlots({pid, ipc, network}: Sharing): readonly SharedSlot[] {
  return [
    ...(donorId(pid) === undefined ? [] : (['pid'] as const)),
    ...(donorId(ipc) === undefined ? [] : (['ipc', 'mnt', 'shm'] as const)),
    ...(donorId(network) === undefined ? [] : (['net'] as const)),
  ];
}

export type SharedSlot = 'pid' | 'ipc' | 'mnt' | 'shm' | 'net';

/** The container behind `container:ID`. */
export function donorId(mode: string | undefined): string | undefined {
  return mode?.startsWith('container:') ? mode.slice('container:'.length) : undefined;
}

/**
 * @param find the donor, by id
 * @throws `ERR_CONTAINER_NOT_RUNNING`, `ERR_CONTAINER_NOT_FOUND`, `ERR_INVALID_OPTION` with Docker's messages
 */
export function openSharedNamespaces(
  {pid, ipc, network}: Sharing,
  find: (id: string) => Donor,
): SharedNamespaces {
  const [pidDonor, ipcDonor, networkDonor] = [pid, ipc, network].map(donorId);
  const opened: Descriptor[] = [];
  try {
    if (pidDonor !== undefined)
      opened.push(...openOf(find(pidDonor), '', directory => [namespaceOf(directory, 'pid')]));
    if (ipcDonor !== undefined) {
      const donor = find(ipcDonor);
      const context = `can't join IPC of container ${donor.config.id}: `;
      opened.push(
        ...openOf(donor, context, directory => {
          if (donor.config.ipc !== 'shareable') throw notShareable(context);
          return [
            namespaceOf(directory, 'ipc'),
            namespaceOf(directory, 'mnt'),
            sharedMemoryOf(directory, context),
          ];
        }),
      );
    }
    if (networkDonor !== undefined) {
      const context = 'cannot join the network of another container: ';
      const donor = find(networkDonor);
      const join = (directory: string) => {
        noteSharedNetwork(donor.directory); // before it is seen to be alive: then its end comes after that
        return [namespaceOf(directory, 'net')];
      };
      opened.push(...openOf(donor, context, join));
    }
    return new SharedNamespaces(opened);
  } catch (error) {
    for (const descriptor of opened) descriptor.close();
    throw error;
  }
}

/** Opened first and looked at afterwards: alive after that, it was no other process before. */
function openOf(
  {config, state, process}: Donor,
  context: string,
  open: (procDirectory: string) => Descriptor[],
): Descriptor[] {
  if (state.status !== 'running' || process === undefined) throw notRunning(config.id, context);
  if (config.userNamespace !== 'host') {
    throw new CoracleError('ERR_UNSUPPORTED_OPTION', `${context}it has a user namespace of its own`, {
      hint: 'Only containers without userNamespace can be joined.',
    });
  }
  let opened: Descriptor[];
  try {
    opened = open(`/proc/${process.pid}`);
  } catch (error) {
    const isGone = isErrno(error, 'ENOENT', 'ESRCH') || (error as NodeJS.ErrnoException).code === 'ENOENT';
    throw isGone ? notRunning(config.id, context) : error;
  }
  if (isAlive(process)) return opened;
  for (const descriptor of opened) descriptor.close();
  throw notRunning(config.id, context);
}

function namespaceOf(procDirectory: string, kind: 'pid' | 'ipc' | 'mnt' | 'net'): Descriptor {
  return new Descriptor(openSync(`${procDirectory}/ns/${kind}`, 'r'));
}

/** What the donor has at /dev/shm, looked for inside its root alone; it must be a file system in memory, not just anything. */
function sharedMemoryOf(procDirectory: string, context: string): Descriptor {
  const root = openSync(`${procDirectory}/root`, O_PATH | constants.O_DIRECTORY);
  try {
    const place = openBelow(root, 'dev/shm', O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW);
    if (fileSystemMagic(place.fd) === TMPFS_MAGIC) return place;
    place.close();
    throw notShareable(context);
  } finally {
    closeSync(root);
  }
}

const TMPFS_MAGIC = 0x0102_1994; // linux/magic.h

function notRunning(id: string, context: string): CoracleError {
  return new CoracleError('ERR_CONTAINER_NOT_RUNNING', `${context}container ${id} is not running`, {
    hint: `Start it first: coracle start ${id.slice(0, 12)}`,
    details: {container: id},
  });
}

function notShareable(context: string): CoracleError {
  return new CoracleError(
    'ERR_INVALID_OPTION',
    `${context}non-shareable IPC (hint: use IpcMode:shareable for the donor container)`,
    {details: {option: 'ipc'}},
  );
}
