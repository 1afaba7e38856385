/**
 * Connects a container to a network, or disconnects it, whether it runs or not: its record first says so, then its
 * namespace has the interface, then the plan for restarts. What the kernel refuses changes nothing.
 */
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import {encodePlan, errnoName, isAlive, type Plan, SlotAllocator, type Step} from '../binding/index.js';
import {CoracleError, NativeFailure} from '../errors.js';
import {
  type Endpoint,
  isPredefined,
  joinNetworkSteps,
  leaveNetworkSteps,
  movePortsSteps,
  type NetworkRecord,
  removeLink,
  removeLinkStep,
  takePortsBack,
  wayOut,
} from '../network/index.js';
import {readRecord, replaceFile, writeRecord} from '../store/index.js';
import {
  attachRequest,
  type Connection,
  namesOf,
  readEndpoints,
  releaseAll,
  writeEndpoints,
} from './connect-network.js';
import {attachmentsOf} from './connects.js';
import type {NetworkAttachment} from './container-config.js';
import {type ContainerRecord, isWatched, readPid} from './container-files.js';
import {isUp} from './container-state.js';
import {notRunning} from './exec-failure.js';
import {namesInHosts} from './host-facts.js';
import {MonitorConnection} from './monitor-connection.js';
import {checkPlace} from './normalize-networks.js';
import {changeOwnNames} from './own-names.js';
import {networkEvent} from './record-events.js';
import {planFor, reload} from './reload-monitor.js';
import type {NetworkOptions} from './run-options.js';
import type {Runtime} from './runtime.js';

/** What it is to be on the network. */
export type ConnectOptions = Omit<NetworkOptions, 'network'>;

/**
 * @throws `ERR_ALREADY_CONNECTED`, `ERR_INVALID_OPTION`, `ERR_CONTAINER_NOT_FOUND`, those of `Networks.attach`,
 * `ERR_MONITOR_VERSION`, `ERR_CONNECT_FAILED`
 */
export async function connectContainer(
  runtime: Runtime,
  network: NetworkRecord,
  container: string,
  options: ConnectOptions = {},
): Promise<void> {
  checkPlace('options', options);
  await change(runtime, container, async (record, running) => {
    refuseConnection(network, record, options);
    const attachments = attachmentsOf(record).filter(other => other.network !== network.name);
    const isOn = attachments.length < attachmentsOf(record).length;
    if (isOn && running !== undefined) {
      throw new CoracleError(
        'ERR_ALREADY_CONNECTED',
        `endpoint with name ${record.name} already exists in network ${network.name}`,
        {details: {network: network.name, container: record.id}},
      );
    }
    const attachment: NetworkAttachment = {
      network: network.name,
      ...(!isPredefined(network.name) && {networkId: network.id}),
      driverOptions: {},
      ...options,
    };
    const after = {...record, networks: [...attachments, attachment]};
    if (running === undefined) return {after};
    const {connection} = running;
    const request = attachRequest(record, attachment, freeNumber(connection.endpoints));
    const endpoint = await runtime.networks.attach(network.name, request);
    try {
      const endpoints = [...connection.endpoints, endpoint];
      await running.apply(joinNetworkSteps, endpoints);
      return {
        after,
        connection: {...connection, endpoints},
        undo: async () => {
          await running.apply(leaveNetworkSteps, connection.endpoints, endpoints);
          runtime.networks.release(endpoint);
        },
      };
    } catch (error) {
      await tearDown(runtime, [removeLinkStep(endpoint)]);
      runtime.networks.release(endpoint);
      throw error;
    }
  });
  const {id} = runtime.readContainer(container);
  runtime.tell([networkEvent(network, 'connect', id)]);
}

/**
 * @param force a container that is not there, or cannot be reached, is no obstacle to what is left of it on the network
 * @throws `ERR_NOT_CONNECTED`, `ERR_INVALID_OPTION`, `ERR_CONTAINER_NOT_FOUND`, `ERR_MONITOR_VERSION`, `ERR_CONNECT_FAILED`
 */
export async function disconnectContainer(
  runtime: Runtime,
  network: NetworkRecord,
  container: string,
  {force = false}: {readonly force?: boolean} = {},
): Promise<void> {
  if (force && runtime.findContainer(container) === undefined)
    throw new CoracleError('ERR_CONTAINER_NOT_FOUND', `endpoint ${container} not found`, {
      details: {container},
    });
  let id = '';
  await change(runtime, container, async (record, running) => {
    ({id} = record);
    refuseDisconnection(network, record, running !== undefined);
    const after = {
      ...record,
      networks: attachmentsOf(record).filter(other => other.network !== network.name),
    };
    if (running === undefined) return {after};
    const {connection} = running;
    const endpoints = connection.endpoints.filter(other => other.network !== network.name);
    await running.apply(leaveNetworkSteps, endpoints);
    for (const endpoint of connection.endpoints)
      if (!endpoints.includes(endpoint)) runtime.networks.release(endpoint);
    return {after, connection: {...connection, endpoints}};
  });
  runtime.tell([networkEvent(network, 'disconnect', id)]);
}

/** A container that runs, and how its interfaces are changed. */
interface Running {
  readonly connection: Connection;
  readonly apply: (
    steps: typeof joinNetworkSteps,
    after: readonly Endpoint[],
    before?: readonly Endpoint[],
  ) => Promise<void>;
}

interface Changed {
  readonly after: ContainerRecord;
  /** Of one that runs. */
  readonly connection?: Connection;
  /** Absent where there is no way back. */
  readonly undo?: () => Promise<void>;
}

/** With the container's lock held. */
async function change(
  runtime: Runtime,
  container: string,
  decide: (record: ContainerRecord, running: Running | undefined) => Promise<Changed>,
): Promise<void> {
  const {containers} = runtime.store;
  const {id, owner} = runtime.readContainer(container);
  const work = async () => {
    const record = runtime.readContainer(id);
    const places = runtime.placesOf(record);
    const running = isUp(runtime.stateOf(record)) ? runningOf(runtime, record) : undefined;
    using monitor =
      running !== undefined && isWatched(places.directory)
        ? await MonitorConnection.open(places.directory)
        : undefined;
    if (monitor?.reloadsTeardown === false) throw monitorTooOld(record.id);
    const {after, connection, undo} = await decide(record, running);
    const before = readEndpoints(places.directory);
    try {
      if (connection !== undefined) {
        writeEndpoints(runtime, places.directory, connection, owner !== undefined);
        if (monitor === undefined) noteMoved(runtime, id, connection);
        rewriteHosts(places.directory, record, before, connection);
        changeOwnNames(places.directory, after, before?.endpoints ?? [], connection.endpoints);
      }
      if (monitor !== undefined) {
        const plan = planFor(runtime, after, monitor);
        replaceFile(`${places.directory}/plan.bin`, plan, {durable: false, work: runtime.store.work});
        await reload(monitor);
      }
      const durable = owner === undefined;
      writeRecord(`${places.directory}/config.json`, after, {
        durable,
        work: durable ? runtime.store.work : undefined,
      });
    } catch (error) {
      if (undo !== undefined) {
        await undo();
        changeOwnNames(places.directory, record, connection?.endpoints ?? [], before?.endpoints ?? []);
        if (before !== undefined) writeEndpoints(runtime, places.directory, before, owner !== undefined);
      }
      throw error;
    }
    // It may have ended meanwhile, and who tore it down knew nothing of this.
    if (connection !== undefined && !runtime.mayRun(id)) releaseAll(runtime, connection);
  };
  await (owner === undefined ? containers.withLock(id, work) : containers.withLiveLock(work));
}

function monitorTooOld(id: string): CoracleError {
  return new CoracleError(
    'ERR_MONITOR_VERSION',
    `Cannot change the networks of container ${id}: its monitor is of an older release`,
    {hint: 'Stop the container first.'},
  );
}

function runningOf(runtime: Runtime, record: ContainerRecord): Running | undefined {
  const {directory} = runtime.placesOf(record);
  const process = readPid(directory);
  if (process === undefined) return undefined;
  const connection = readEndpoints(directory) ?? {endpoints: [], ports: []};
  return {
    connection,
    apply: async (steps, after, before = connection.endpoints) => {
      // Opened first and looked at afterwards: alive after that, it was no other process before.
      const fd = openSync(`/proc/${process.pid}/ns/net`, 'r');
      try {
        if (!isAlive(process)) throw notRunning(record.id);
        const namespace = `/proc/${globalThis.process.pid}/fd/${fd}`;
        const moves = movePorts(connection, before, after);
        await tearDown(
          runtime,
          [...steps({namespace, before, after}, new SlotAllocator()), ...moves],
          record.name,
        );
      } finally {
        closeSync(fd);
      }
    },
  };
}

/** Published ports lead to the way out. */
function movePorts(
  {ports}: Connection,
  before: readonly Endpoint[],
  after: readonly Endpoint[],
): readonly Step[] {
  const [from, to] = [wayOut(before), wayOut(after)];
  return ports.length === 0 || from?.endpointId === to?.endpointId ? [] : movePortsSteps(ports, from, to);
}

/** By the process that removes: it is nobody's sibling, and shares nothing. @throws `ERR_CONNECT_FAILED` */
async function tearDown(runtime: Runtime, teardown: readonly Step[], name?: string): Promise<void> {
  const {errno, step} = await runtime.launcher().teardown(encodePlan({...EMPTY_PLAN, teardown}));
  if (errno === 0 || name === undefined) return;
  const {stage = ''} = teardown[step] ?? {};
  throw new CoracleError(
    'ERR_CONNECT_FAILED',
    `the network of container ${name} could not be changed: ${stage}: ${errnoName(-errno)}`,
    {cause: new NativeFailure(stage, errnoName(-errno), ''), details: {container: name}},
  );
}

const EMPTY_PLAN: Plan = {host: [], parent: [], child: [], started: [], exit: [], teardown: []};

/** Of its next interface: eth1 after eth0. */
function freeNumber(endpoints: readonly Endpoint[]): number {
  const taken = new Set(endpoints.map(({number}) => number));
  let number = 0;
  while (taken.has(number)) number++;
  return number;
}

/** In dockerd's words: moby, daemon/container_operations.go. */
function refuseConnection(network: NetworkRecord, record: ContainerRecord, options: ConnectOptions): void {
  const refuse = (message: string) =>
    new CoracleError('ERR_INVALID_OPTION', message, {details: {network: network.name, container: record.id}});
  if (network.name === 'host')
    throw refuse('container cannot be disconnected from host network or connected to host network');
  if (record.network === 'host' || record.network.startsWith('container:')) {
    throw refuse(
      'container sharing network namespace with another container or host cannot be connected to any other network',
    );
  }
  if (network.name === 'none' || (record.network === 'none' && record.networks === undefined)) {
    throw refuse(
      'container cannot be connected to multiple networks with one of the networks in private (none) mode',
    );
  }
  if (options.aliases?.length && isPredefined(network.name))
    throw refuse('network-scoped alias is supported only for containers in user defined networks');
}

function refuseDisconnection(network: NetworkRecord, record: ContainerRecord, isRunning: boolean): void {
  const details = {network: network.name, container: record.id};
  if (record.network === 'host' && network.name === 'host') {
    throw new CoracleError(
      'ERR_INVALID_OPTION',
      'container cannot be disconnected from host network or connected to host network',
      {details},
    );
  }
  const isPrivate = network.name === 'none' && record.network === 'none' && record.networks === undefined;
  if (isPrivate || attachmentsOf(record).some(other => other.network === network.name)) return;
  throw new CoracleError(
    'ERR_NOT_CONNECTED',
    `container ${record.id} is not connected to ${isRunning ? '' : 'the '}network ${network.name}`,
    {details},
  );
}

/** A line for each of its addresses; what else the container has written there stays. */
function rewriteHosts(
  directory: string,
  record: ContainerRecord,
  before: Connection | undefined,
  after: Connection,
): void {
  const addressesOf = (connection: Connection | undefined) =>
    (connection?.endpoints ?? []).flatMap(({ipv4, ipv6}) => [ipv4.address, ...(ipv6 ? [ipv6.address] : [])]);
  const [old, now] = [addressesOf(before), addressesOf(after)];
  const names = namesInHosts(record);
  const path = `${directory}/hosts`;
  if (!existsSync(path)) return;
  const gone = new Set(old.filter(address => !now.includes(address)).map(address => `${address}\t${names}`));
  const kept = readFileSync(path, 'utf8')
    .split('\n')
    .filter(line => !gone.has(line))
    .join('\n');
  const added = now.filter(address => !old.includes(address)).map(address => `${address}\t${names}\n`);
  writeFileSync(path, kept + added.join('')); // in place: it is mounted
}

/**
 * Who tears down a run that has no monitor knows where the container was when it started: where it is since then stands in
 * `networks/.moved/ID.json` of the live directory, until that has been given back.
 */
function noteMoved(runtime: Runtime, id: string, connection: Connection): void {
  const directory = movedDirectory(runtime);
  mkdirSync(directory, {recursive: true, mode: 0o700});
  writeRecord(`${directory}/${id}.json`, connection, {durable: false});
}

function movedDirectory({store}: Runtime): string {
  return `${store.live}/networks/.moved`;
}

/** Of a container that has ended: gives back where it was moved to. */
export function releaseMoved(runtime: Runtime, id: string): void {
  const path = `${movedDirectory(runtime)}/${id}.json`;
  const connection = readRecord(path) as Connection | undefined;
  if (connection === undefined) return;
  const target = wayOut(connection.endpoints);
  if (target !== undefined) takePortsBack(connection.ports, target);
  for (const endpoint of connection.endpoints) removeLink(endpoint); // others may share its namespace
  releaseAll(runtime, connection);
  rmSync(path, {force: true});
}

/** Of all that have ended. */
export function releaseAllMoved(runtime: Runtime): void {
  let entries: string[];
  try {
    entries = readdirSync(movedDirectory(runtime));
  } catch {
    return; // none ever was
  }
  for (const entry of entries) {
    const id = entry.replace(/\.json$/, '');
    if (entry.endsWith('.json') && !runtime.mayRun(id)) releaseMoved(runtime, id);
  }
}

/** A container that runs has another name: others find it by that. */
export function renameOnNetworks(runtime: Runtime, record: ContainerRecord): void {
  const {directory} = runtime.placesOf(record);
  const connection = readEndpoints(directory);
  if (connection === undefined || !isUp(runtime.stateOf(record))) return;
  const attachments = attachmentsOf(record);
  const endpoints = connection.endpoints.map(endpoint => {
    const {aliases} = attachments.find(({network}) => network === endpoint.network) ?? {};
    return runtime.networks.rename(endpoint, namesOf(record, aliases));
  });
  const renamed = {...connection, endpoints};
  writeEndpoints(runtime, directory, renamed, record.owner !== undefined);
  if (!isWatched(directory)) noteMoved(runtime, record.id, renamed);
}
