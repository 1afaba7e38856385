/** What the SDK does to the objects of a store, told to whoever watches: Docker's types, actions and attributes. */
import type {HealthOrders, Orders} from '../binding/index.js';
import type {ExitFacts} from '../cgroup/index.js';
import type {NetworkRecord} from '../network/index.js';
import {
  encodeEventToCome,
  JOURNAL_BYTES,
  type JournalEvent,
  type JournalPlaces,
  type StoredImage,
} from '../store/index.js';
import type {ContainerConfig} from './container-config.js';
import {dockerExitCode, type Exit} from './container-state.js';
import {nowNanoseconds} from './nanosecond-time.js';

type Subject = Pick<ContainerConfig, 'id' | 'name' | 'image' | 'labels'>;
type Attributes = Readonly<Record<string, string>>;

export function containerEvent(
  {id, name, image, labels}: Subject,
  action: string,
  attributes: Attributes = {},
): JournalEvent {
  return event('container', action, id, {...labels, image: image.reference, name, ...attributes});
}

/** What a start that succeeded tells, in Docker's order. @param created it was made by it */
export function startEvents(config: ContainerConfig, {created}: {readonly created: boolean}): JournalEvent[] {
  const {stdin, stdout, stderr} = config;
  const isAttached = [stdin, stdout, stderr].some(stream => stream !== 'ignore');
  return [
    ...(created ? [containerEvent(config, 'create')] : []),
    ...(isAttached ? [containerEvent(config, 'attach')] : []),
    ...runEvents(config),
  ];
}

function runEvents(config: ContainerConfig): JournalEvent[] {
  const {id, mounts} = config;
  return [
    ...mounts.flatMap(mount =>
      mount.type === 'volume'
        ? [
            event('volume', 'mount', mount.name, {
              container: id,
              destination: mount.target,
              driver: 'local',
              propagation: '',
              'read/write': String(!mount.readOnly),
            }),
          ]
        : [],
    ),
    containerEvent(config, 'start'),
  ];
}

/** The end of a run, before anybody can see it in the container's state. @param facts what its cgroup counted */
export function endEvents(
  config: ContainerConfig,
  exit: Exit,
  {oomKills = 0}: Partial<Pick<ExitFacts, 'oomKills'>> = {},
): JournalEvent[] {
  const exitCode = String(dockerExitCode(exit));
  return [
    ...(oomKills > 0 ? [containerEvent(config, 'oom')] : []),
    containerEvent(config, 'die', {exitCode}),
    ...unmountEvents(config),
  ];
}

/** dockerd tells both before it tries; of one that fails there is nothing more. */
export function execStartEvents(config: Subject, execID: string, argv: readonly string[]): JournalEvent[] {
  const [program = '', ...args] = argv;
  const command = `${program} ${args.join(' ')}`;
  return ['exec_create', 'exec_start'].map(action =>
    containerEvent(config, `${action}: ${command}`, {execID}),
  );
}

export function execDieEvent(config: Subject, execID: string, exit: Exit): JournalEvent {
  return containerEvent(config, 'exec_die', {execID, exitCode: String(dockerExitCode(exit))});
}

function unmountEvents({id, mounts}: ContainerConfig): JournalEvent[] {
  return mounts.flatMap(mount =>
    mount.type === 'volume' ? [event('volume', 'unmount', mount.name, {container: id, driver: 'local'})] : [],
  );
}

/** What the monitor of a detached container tells, at each of its starts and ends, and where. */
export function eventsToCome(
  config: ContainerConfig,
  {current, previous}: JournalPlaces,
): Pick<
  Orders,
  'journal' | 'journalMost' | 'journalAside' | 'startedEvents' | 'endedEvents' | 'removedEvents' | 'oomEvents'
> {
  const lines = (events: readonly JournalEvent[]) => events.map(each => encodeEventToCome(each)).join('');
  return {
    journal: current,
    journalMost: JOURNAL_BYTES,
    journalAside: previous,
    startedEvents: lines(runEvents(config)),
    oomEvents: lines([containerEvent(config, 'oom')]),
    endedEvents: encodeEventToCome(containerEvent(config, 'die'), 'exitCode') + lines(unmountEvents(config)),
    removedEvents: config.autoRemove ? lines(removalEvents(config, anonymousVolumesOf(config))) : '',
  };
}

/** What it tells of the probes of a health check, and of what they come to. Without arguments a space stays, as in dockerd. */
export function probeEventsToCome(
  config: ContainerConfig,
  [program, ...args]: readonly [string, ...string[]],
): Pick<HealthOrders, 'begunEvents' | 'endedEvents' | 'healthyEvents' | 'unhealthyEvents'> {
  const event = (action: string) => containerEvent(config, action);
  const words = `${program} ${args.join(' ')}`;
  return {
    begunEvents: ['exec_create', 'exec_start']
      .map(name => encodeEventToCome(event(`${name}: ${words}`), 'execID'))
      .join(''),
    endedEvents: encodeEventToCome(event('exec_die'), 'execID', 'exitCode'),
    healthyEvents: encodeEventToCome(event('health_status: healthy')),
    unhealthyEvents: encodeEventToCome(event('health_status: unhealthy')),
  };
}

/** They go with their container. */
export function anonymousVolumesOf({mounts}: Pick<ContainerConfig, 'mounts'>): string[] {
  return mounts.flatMap(mount => (mount.type === 'volume' && mount.anonymous ? [mount.name] : []));
}

/** @param volumes names of those that went with it */
export function removalEvents(config: Subject, volumes: readonly string[]): JournalEvent[] {
  return [...volumes.map(name => volumeEvent(name, 'destroy')), containerEvent(config, 'destroy')];
}

export function volumeEvent(name: string, action: 'create' | 'destroy'): JournalEvent {
  return event('volume', action, name, {driver: 'local'});
}

export function networkEvent(
  {id, name, driver}: Pick<NetworkRecord, 'id' | 'name' | 'driver'>,
  action: 'create' | 'destroy' | 'connect' | 'disconnect',
  container?: string,
): JournalEvent {
  return event('network', action, id, {...(container !== undefined && {container}), name, type: driver});
}

/** @param name what Docker calls it here: its new name for `tag`, its id for everything else */
export function imageEvent(
  {id, config}: Pick<StoredImage, 'id' | 'config'>,
  action: 'tag' | 'untag' | 'import' | 'load' | 'save' | 'pull' | 'push',
  name: string = id,
): JournalEvent {
  return event('image', action, id, {...config.Labels, name});
}

/** One that is gone has no labels any more. */
export function imageDeleted(id: string): JournalEvent {
  return event('image', 'delete', id, {name: id});
}

export function pruneEvent(
  type: 'container' | 'image' | 'network' | 'volume',
  reclaimedBytes: number,
): JournalEvent {
  return event(type, 'prune', '', {reclaimed: String(reclaimedBytes)});
}

function event(type: string, action: string, id: string, attributes: Attributes): JournalEvent {
  return {timeNs: nowNanoseconds(), type, action, id, attributes};
}
