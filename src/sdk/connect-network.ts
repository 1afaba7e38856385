/** A container's places on networks: taken before each start, written down beside its record, given back when it has ended. */
import {readFileSync} from 'node:fs';
import type {Step} from '../binding/index.js';
import {HOST} from '../binding/index.js';
import {CoracleError} from '../errors.js';
import {
  type AttachRequest,
  type BoundPort,
  choosePorts,
  describeDrop,
  type Endpoint,
  removeNamesSteps,
  removeSharedLinksSteps,
  resolvableNames,
  unpublishSteps,
  type WantedPort,
  wayOut,
} from '../network/index.js';
import {readRecord, writeRecord} from '../store/index.js';
import {checkStart} from './check-privileges.js';
import {attachmentsOf, connects} from './connects.js';
import type {ContainerConfig, NetworkAttachment} from './container-config.js';
import {sharedNetworkFile} from './container-files.js';
import {type LinkedFacts, linkedFacts, tellLinking} from './linked-containers.js';
import type {Runtime} from './runtime.js';
import {donorId} from './shared-namespaces.js';

const FILE = 'endpoints.json';

/** A container's places on networks, and the ports of the host that lead to the one that is its way out. */
export interface Connection {
  /** In the order of the interfaces. */
  readonly endpoints: readonly Endpoint[];
  readonly ports: readonly BoundPort[];
  /** What it was told of containers that it is linked to. Absent: nothing. */
  readonly linked?: LinkedFacts;
  /** Somebody else's chains that drop what goes to other hosts and comes from there; absent where nobody does. */
  readonly blockedBy?: string;
}

/**
 * Undefined for a container that has no network, or the host's.
 * @throws those of `Networks.attach`, `ERR_PORT_IN_USE`; then it has no place anywhere
 */
export async function connectNetwork(
  runtime: Runtime,
  config: ContainerConfig,
  previous?: Connection,
): Promise<Connection | undefined> {
  if (!connects(config)) return undefined;
  checkStart(config, runtime.facts); // before anything of the host's is touched
  const isOnBridge = attachmentsOf(config).some(({network}) => network === 'bridge');
  const linked = isOnBridge ? linkedFacts(runtime, config, bridgeAddress) : undefined;
  const endpoints: Endpoint[] = [];
  try {
    for (const [number, attachment] of attachmentsOf(config).entries()) {
      const last = previous?.endpoints.find(({network}) => network === attachment.network);
      const request = attachRequest(config, attachment, number);
      endpoints.push(await runtime.networks.attach(attachment.network, {...request, previous: last}));
    }
    const ports = await choosePorts(wantedPorts(config), wayOut(endpoints)?.hostAddress);
    return await placesOf(runtime, config, {endpoints, ports, linked}, previous);
  } catch (error) {
    for (const endpoint of endpoints) runtime.networks.release(endpoint);
    throw ofEndpoint(error, config, {endpoints});
  }
}

/** What keeps ports from being published, with the endpoint that they were to lead to, as dockerd has it. */
export function ofEndpoint(
  error: unknown,
  {name}: Pick<ContainerConfig, 'name'>,
  connection: Pick<Connection, 'endpoints'> | undefined,
): unknown {
  const {code, message, cause, hint, details} = error as CoracleError;
  const endpoint = connection && wayOut(connection.endpoints);
  if (endpoint === undefined || (code !== 'ERR_PORT_IN_USE' && code !== 'ERR_PORT_REFUSED')) return error;
  const where = `driver failed programming external connectivity on endpoint ${name} (${endpoint.endpointId})`;
  return new CoracleError(code, `${where}: ${message}`, {cause, details, ...(hint !== undefined && {hint})});
}

/** What is to be known of places that are taken. */
async function placesOf(
  runtime: Runtime,
  config: ContainerConfig,
  {
    endpoints,
    ports,
    linked,
  }: Pick<Connection, 'endpoints' | 'ports'> & {linked: Connection['linked'] | undefined},
  previous: Connection | undefined,
): Promise<Connection> {
  const [was, is] = [addressOnBridge(previous), addressOnBridge({endpoints})];
  if (was !== undefined && is !== undefined && was !== is) tellLinking(runtime, config, was, is);
  const own = {endpoints, ...(linked && {linked})};
  const out = wayOut(endpoints);
  if (out === undefined) return {...own, ports: []};
  const blockedBy = (await runtime.networks.foreignDrops(out.bridge)).map(describeDrop).join(', ');
  return {...own, ports, ...(blockedBy !== '' && {blockedBy})};
}

/** Of a container, on the default bridge. */
function bridgeAddress(directory: string): string | undefined {
  return addressOnBridge(readEndpoints(directory));
}

function addressOnBridge(connection: Pick<Connection, 'endpoints'> | undefined): string | undefined {
  return connection?.endpoints.find(({network}) => network === 'bridge')?.ipv4.address;
}

/** What whoever starts it should know. */
export function networkWarnings(connection: Connection | undefined): string[] {
  if (connection?.blockedBy === undefined) return [];
  return [
    `what the container sends to other hosts is dropped by ${connection.blockedBy}; see coracle doctor`,
  ];
}

/** @param number of its interface there */
export function attachRequest(
  config: Pick<ContainerConfig, 'id' | 'name' | 'hostname'>,
  {networkId, ipv4Address, ipv6Address, macAddress, aliases}: NetworkAttachment,
  number: number,
): AttachRequest {
  return {
    containerId: config.id,
    networkId,
    number,
    ipv4Address,
    ipv6Address,
    mac: macAddress,
    ...namesOf(config, aliases),
  };
}

/** What others on its networks find it by. */
export function namesOf(
  {id, name, hostname}: Pick<ContainerConfig, 'id' | 'name' | 'hostname'>,
  aliases: readonly string[] = [],
): Pick<Endpoint, 'names' | 'pointer'> {
  return {names: resolvableNames([name, id.slice(0, 12), hostname, ...aliases]), pointer: name};
}

/** What stands in /etc of a container that shares another's network: what stands there. */
export interface JoinedFiles {
  readonly hosts: string;
  readonly resolvConf: string;
}

/** Undefined for one that shares nobody's. */
export function joinedFiles(
  runtime: Runtime,
  {network}: Pick<ContainerConfig, 'network'>,
): JoinedFiles | undefined {
  const donor = donorId(network);
  if (donor === undefined) return undefined;
  const {directory} = runtime.placesOf(runtime.readContainer(donor));
  const textOf = (name: string) => readFileSync(`${directory}/${name}`, 'utf8');
  try {
    return {hosts: textOf('hosts'), resolvConf: textOf('resolv.conf')};
  } catch {
    return {hosts: '', resolvConf: ''}; // it never ran: the start will say so
  }
}

/** Where a container is on its networks, or was when it ran last. */
export function readEndpoints(directory: string): Connection | undefined {
  return readRecord(`${directory}/${FILE}`) as Connection | undefined;
}

/** Of a container that stays, or one that lives as long as its run and runs. */
export function writeEndpoints(
  runtime: Runtime,
  directory: string,
  connection: Connection,
  live = false,
): void {
  const work = live ? undefined : runtime.store.work;
  writeRecord(`${directory}/${FILE}`, connection, {durable: false, work});
}

/** Of one that lives as long as its run: its directory is made by the plan. */
export function endpointRecordSteps(directory: string, connection: Connection | undefined): Step[] {
  if (connection === undefined) return [];
  const text = endpointsText(connection);
  return [
    {op: 'create', stage: 'record', at: HOST, s1: `${directory}/${FILE}`, s2: text, x: 0o600, record: true},
  ];
}

/** What is written down of it. */
export function endpointsText(connection: Connection): string {
  return `${JSON.stringify(connection)}\n`;
}

/** Nothing leads there any more. @param directory of the container */
export function disconnectSteps(directory: string, connection: Connection | undefined): Step[] {
  if (connection === undefined) return [];
  const {endpoints, ports} = connection;
  const target = wayOut(endpoints);
  return [
    ...(target === undefined ? [] : unpublishSteps(ports, target)),
    ...removeSharedLinksSteps(sharedNetworkFile(directory), endpoints),
  ];
}

/** Its addresses are the next one's, as soon as it has ended. */
export function releaseSteps(runtime: Runtime, connection: Connection | undefined): Step[] {
  return (connection?.endpoints ?? []).flatMap(endpoint => {
    const named = runtime.networks.named(endpoint);
    return [
      ...removeNamesSteps(named),
      ...named.addresses.map(
        ({reservation, holder}): Step => ({
          op: 'unlink',
          stage: 'release the address',
          at: HOST,
          s1: reservation,
          s2: holder,
          record: true,
        }),
      ),
    ];
  });
}

/** All of them; again is fine. */
export function releaseAll(runtime: Runtime, connection: Connection | undefined): void {
  for (const endpoint of connection?.endpoints ?? []) runtime.networks.release(endpoint);
}

/** Those that it was told, and with `publishAll` the others that it listens on. */
function wantedPorts({
  ports = [],
  publishAll,
  exposedPorts,
}: Pick<ContainerConfig, 'ports' | 'publishAll' | 'exposedPorts'>): readonly WantedPort[] {
  if (!publishAll) return ports;
  const told = new Set(ports.map(({containerPort, protocol}) => `${containerPort}/${protocol}`));
  const others = exposedPorts
    .filter(port => !told.has(port))
    .map(port => {
      const [containerPort, protocol] = port.split('/') as [string, WantedPort['protocol']];
      return {containerPort: Number(containerPort), protocol, hostPort: 0, hostPortEnd: 0, hostAddress: ''};
    });
  return [...ports, ...others];
}
