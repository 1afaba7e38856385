/** A container's place on a network: taken before each start, written down beside its record, given back when it has ended. */
import {readFileSync} from 'node:fs';
import type {Step} from '../binding/index.js';
import {HOST} from '../binding/index.js';
import {
  type BoundPort,
  choosePorts,
  describeDrop,
  type Endpoint,
  unpublishSteps,
  type WantedPort,
} from '../network/index.js';
import {readRecord, writeRecord} from '../store/index.js';
import {checkStart} from './check-privileges.js';
import {connects} from './connects.js';
import type {ContainerConfig} from './container-config.js';
import type {Runtime} from './runtime.js';
import {donorId} from './shared-namespaces.js';

const FILE = 'endpoint.json';

/** A container's place on a network, and the ports of the host that lead there. */
export type Connection = Endpoint & {
  readonly ports: readonly BoundPort[];
  /** Somebody else's chains that drop what goes to other hosts and comes from there; absent where nobody does. */
  readonly blockedBy?: string;
};

/**
 * Undefined for a container that has no network, or the host's.
 * @throws `ERR_NETWORK_UNAVAILABLE`, `ERR_NO_ADDRESS_LEFT`
 */
export async function connectNetwork(
  runtime: Runtime,
  config: ContainerConfig,
  previous?: Endpoint,
): Promise<Connection | undefined> {
  if (!connects(config)) return undefined;
  checkStart(config, runtime.facts); // before anything of the host's is touched
  const ports = await choosePorts(wantedPorts(config));
  const endpoint = await runtime.networks.attach(config.network, config.id, previous?.address);
  const drops = await runtime.networks.foreignDrops(endpoint.bridge);
  const blockedBy = drops.map(describeDrop).join(', ');
  return {...endpoint, ports, ...(blockedBy !== '' && {blockedBy})};
}

/** What whoever starts it should know. */
export function networkWarnings(endpoint: Connection | undefined): string[] {
  if (endpoint?.blockedBy === undefined) return [];
  return [`what the container sends to other hosts is dropped by ${endpoint.blockedBy}; see coracle doctor`];
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

/** Where a container is on its network, or was when it ran last. */
export function readEndpoint(directory: string): Connection | undefined {
  return readRecord(`${directory}/${FILE}`) as Connection | undefined;
}

/** Of a container that stays. */
export function writeEndpoint(runtime: Runtime, directory: string, endpoint: Connection): void {
  writeRecord(`${directory}/${FILE}`, endpoint, {durable: false, work: runtime.store.work});
}

/** Of one that lives as long as its run: its directory is made by the plan. */
export function endpointRecordSteps(directory: string, endpoint: Connection | undefined): Step[] {
  if (endpoint === undefined) return [];
  const text = `${JSON.stringify(endpoint)}\n`;
  return [
    {op: 'create', stage: 'record', at: HOST, s1: `${directory}/${FILE}`, s2: text, x: 0o600, record: true},
  ];
}

/** Nothing leads there any more. */
export function disconnectSteps(endpoint: Connection | undefined): Step[] {
  return endpoint === undefined ? [] : unpublishSteps(endpoint.ports, endpoint.bridge, endpoint.address);
}

/** Its address is the next one's, as soon as it has ended. */
export function releaseSteps(endpoint: Connection | undefined): Step[] {
  if (endpoint === undefined) return [];
  const {reservation, holder} = endpoint;
  return [{op: 'unlink', stage: 'release the address', at: HOST, s1: reservation, s2: holder, record: true}];
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
