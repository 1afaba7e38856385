/** Who writes to volumes: the containers that have them, in the order in which they are held still. */
import {CoracleError} from '../../errors.js';
import type {Runtime} from '../../sdk/index.js';
import type {Application} from '../repository.js';
import {quiesceOrder, type User} from './order.js';

export interface VolumeUser extends User {
  readonly name: string;
  /** Else it was paused or ended, by itself, a user, or another backup. */
  readonly isRunning: boolean;
  readonly labels: Readonly<Record<string, string>>;
}

/** Those that may write to one of the volumes when they run. @throws `ERR_INVALID_OPTION` for a label that is no number */
export function writersOf(runtime: Runtime, volumes: readonly string[]): VolumeUser[] {
  const users = runtime.listContainers().flatMap((record): VolumeUser[] => {
    const writes = record.mounts.some(
      mount => mount.type === 'volume' && volumes.includes(mount.name) && !mount.readOnly,
    );
    if (!writes) return [];
    const state = runtime.stateOf(record);
    const isRunning = state.status === 'running';
    const startedAt = 'startedAt' in state ? state.startedAt : '';
    const {id, name, labels, links = [], network, pid, ipc} = record;
    const shared = [network, pid, ipc].flatMap(each => /^container:(.+)$/.exec(each ?? '')?.[1] ?? []);
    const dependsOn = [...links.map(({container}) => container), ...shared];
    const order = isRunning ? orderOf(name, labels) : 0;
    return [{id, name, isRunning, labels, startedAt, order, dependsOn}];
  });
  return quiesceOrder(users);
}

const ORDER = 'coracle.backup.order';

function orderOf(name: string, labels: Readonly<Record<string, string>>): number {
  const text = labels[ORDER] ?? '0';
  if (/^-?\d{1,9}$/.test(text)) return Number(text);
  throw new CoracleError(
    'ERR_INVALID_OPTION',
    `container ${name}: the label ${ORDER} is no whole number: ${text}`,
  );
}

/** Containers that have one of the volumes, running or not, sidecars left out: those that may write to it first, the newest first. */
export function applicationsOf(runtime: Runtime, volumes: readonly string[]): Application[] {
  const found = runtime.listContainers().flatMap(({name, image, argv, user, mounts, labels}) => {
    const used = mounts
      .filter(mount => mount.type === 'volume')
      .filter(mount => volumes.includes(mount.name));
    if (used.length === 0 || labels['coracle.sidecar'] !== undefined) return [];
    const targets = Object.fromEntries(used.map(mount => [mount.name, mount.target]));
    const reads = used.every(({readOnly}) => readOnly);
    const as = user === '' ? {} : {user};
    return [{reads, application: {name, image: image.reference, argv, ...as, targets}}];
  });
  found.sort((a, b) => Number(a.reads) - Number(b.reads));
  return found.map(({application}) => application);
}
