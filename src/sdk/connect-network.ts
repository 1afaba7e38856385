/** A container's place on a network: taken before each start, written down beside its record, given back when it has ended. */
import type {Step} from '../binding/index.js';
import {HOST} from '../binding/index.js';
import type {Endpoint} from '../network/index.js';
import {readRecord, writeRecord} from '../store/index.js';
import type {ContainerConfig} from './container-config.js';
import type {Runtime} from './runtime.js';

const FILE = 'endpoint.json';

/** Whether it has a network that is neither empty nor the host's. */
export function connects({network}: Pick<ContainerConfig, 'network'>): boolean {
  return network !== 'none' && network !== 'host';
}

/**
 * Undefined for a container that has no network, or the host's.
 * @throws `ERR_NETWORK_UNAVAILABLE`, `ERR_NO_ADDRESS_LEFT`
 */
export async function connectNetwork(
  runtime: Runtime,
  config: Pick<ContainerConfig, 'id' | 'network'>,
  previous?: Endpoint,
): Promise<Endpoint | undefined> {
  if (!connects(config)) return undefined;
  return runtime.networks.attach(config.network, config.id, previous?.address);
}

/** Where a container is on its network, or was when it ran last. */
export function readEndpoint(directory: string): Endpoint | undefined {
  return readRecord(`${directory}/${FILE}`) as Endpoint | undefined;
}

/** Of a container that stays. */
export function writeEndpoint(directory: string, endpoint: Endpoint): void {
  writeRecord(`${directory}/${FILE}`, endpoint, {durable: false});
}

/** Of one that lives as long as its run: its directory is made by the plan. */
export function endpointRecordSteps(directory: string, endpoint: Endpoint | undefined): Step[] {
  if (endpoint === undefined) return [];
  const text = `${JSON.stringify(endpoint)}\n`;
  return [
    {op: 'create', stage: 'record', at: HOST, s1: `${directory}/${FILE}`, s2: text, x: 0o600, record: true},
  ];
}

/** Its address is the next one's, as soon as it has ended. */
export function releaseSteps(endpoint: Endpoint | undefined): Step[] {
  if (endpoint === undefined) return [];
  const {reservation, holder} = endpoint;
  return [{op: 'unlink', stage: 'release the address', at: HOST, s1: reservation, s2: holder, record: true}];
}
