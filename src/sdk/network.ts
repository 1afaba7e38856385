import {
  type CreateNetworkOptions,
  isPredefined,
  type NetworkRecord,
  OPTION,
  type SubnetConfig,
} from '../network/index.js';
import {type ConnectOptions, connectContainer, disconnectContainer} from './change-networks.js';
import {checkCreateOptions} from './check-network-options.js';
import {readEndpoints} from './connect-network.js';
import {sortedRecord} from './go-values.js';
import type {InRuntime} from './image.js';
import {networkEvent} from './record-events.js';
import {Runtime} from './runtime.js';

/** What containers can be connected by. Always there: `bridge`, `host` and `none`. */
export class Network {
  readonly name: string;
  /** 64 hexadecimal digits. */
  readonly id: string;
  readonly driver: NetworkRecord['driver'];
  /** RFC 3339, UTC. */
  readonly created: string;
  readonly labels: Readonly<Record<string, string>>;
  /** No way out. */
  readonly internal: boolean;
  /** Its containers have addresses of IPv6, too. */
  readonly ipv6: boolean;
  readonly #runtime: Runtime;
  readonly #record: NetworkRecord;

  private constructor(runtime: Runtime, record: NetworkRecord) {
    const {name, id, driver, created, labels = {}, internal = false, ipv6 = false} = record;
    this.#runtime = runtime;
    this.#record = record;
    this.name = name;
    this.id = id;
    this.driver = driver;
    this.created = created;
    this.labels = labels;
    this.internal = internal;
    this.ipv6 = ipv6;
  }

  /**
   * A network of one's own. Its containers find each other by name, and are apart from those of other networks. Nothing of
   * it is on the host while no container is on it.
   * @throws `ERR_NAME_IN_USE`, `ERR_INVALID_NAME`, `ERR_NETWORK_PREDEFINED`, `ERR_INVALID_OPTION`, `ERR_SUBNET_IN_USE`,
   * `ERR_NETWORK_UNAVAILABLE`
   */
  static async create(
    name: string,
    options: CreateNetworkOptions = {},
    in_: InRuntime = {},
  ): Promise<Network> {
    checkCreateOptions(name, options);
    const runtime = in_.runtime ?? (await Runtime.default());
    const record = await runtime.networks.create(name, options);
    runtime.tell([networkEvent(record, 'create')]);
    return new Network(runtime, record);
  }

  /** By name, id or its beginning. @throws `ERR_NETWORK_NOT_FOUND`, `ERR_AMBIGUOUS_ID` */
  static async get(nameOrId: string, in_: InRuntime = {}): Promise<Network> {
    const runtime = in_.runtime ?? (await Runtime.default());
    return new Network(runtime, await runtime.networks.records.get(nameOrId));
  }

  /** By name. */
  static async list(in_: InRuntime = {}): Promise<Network[]> {
    const runtime = in_.runtime ?? (await Runtime.default());
    return (await runtime.networks.records.list()).map(record => new Network(runtime, record));
  }

  /** Ids of the containers that are on it now. */
  members(): readonly string[] {
    const holders = this.#runtime.networks.holders(this.name);
    return [...new Set(holders.map(({containerId}) => containerId))].filter(id => this.#runtime.mayRun(id));
  }

  /** Removes it; no container may be on it. @throws `ERR_NETWORK_IN_USE`, `ERR_NETWORK_PREDEFINED`, `ERR_NETWORK_NOT_FOUND` */
  async remove(): Promise<void> {
    await this.#runtime.networks.remove(this.#record, id => this.#runtime.mayRun(id));
    this.#runtime.tell([networkEvent(this.#record, 'destroy')]);
  }

  /**
   * Connects a container to it, running or not: the next interface of one that runs, an address and names there.
   * @param container its id, the beginning of that, or its name
   * @throws `ERR_ALREADY_CONNECTED`, `ERR_CONTAINER_NOT_FOUND`, `ERR_INVALID_OPTION`, `ERR_ADDRESS_IN_USE`,
   * `ERR_NO_ADDRESS_LEFT`, `ERR_CONNECT_FAILED`
   */
  async connect(container: string, options: ConnectOptions = {}): Promise<void> {
    await connectContainer(this.#runtime, this.#record, container, options);
  }

  /**
   * Takes a container off it, running or not.
   * @throws `ERR_NOT_CONNECTED`, `ERR_CONTAINER_NOT_FOUND`, `ERR_INVALID_OPTION`, `ERR_CONNECT_FAILED`
   */
  async disconnect(container: string, options: {readonly force?: boolean} = {}): Promise<void> {
    await disconnectContainer(this.#runtime, this.#record, container, options);
  }

  /** Docker's inspect document of a network. While nobody is on the default bridge, it has no subnet. */
  inspect() {
    const {options = {}, subnets} = this.#record;
    const state = this.#runtime.networks.stateOf(this.name);
    const isOwn = !isPredefined(this.name);
    return {
      Name: this.name,
      Id: this.id,
      Created: this.created,
      Scope: 'local',
      Driver: this.driver as string,
      EnableIPv4: true,
      EnableIPv6: this.ipv6,
      IPAM: {
        Driver: 'default',
        Options: (isOwn ? {} : null) as Readonly<Record<string, string>> | null,
        Config: (state?.subnets ?? subnets ?? []).map(ipamConfig),
      },
      Internal: this.internal,
      Attachable: this.#record.attachable ?? false,
      Ingress: false,
      ConfigFrom: {Network: ''},
      ConfigOnly: false,
      Containers: sortedRecord(this.#members()),
      Options:
        this.name === 'bridge'
          ? bridgeOptions(state?.bridge, state?.mtu ?? this.#runtime.networks.mtu)
          : sortedRecord(Object.entries(options)),
      Labels: sortedRecord(Object.entries(this.labels)),
    };
  }

  #members() {
    return this.members().flatMap(containerId => {
      const record = this.#runtime.findContainer(containerId);
      const connection = record && readEndpoints(this.#runtime.placesOf(record).directory);
      const endpoint = connection?.endpoints.find(({network}) => network === this.name);
      if (record === undefined || endpoint === undefined) return [];
      const {ipv4, ipv6} = endpoint;
      const member = {
        Name: record.name,
        EndpointID: endpoint.endpointId,
        MacAddress: endpoint.mac,
        IPv4Address: `${ipv4.address}/${ipv4.prefixLength}`,
        IPv6Address: ipv6 === undefined ? '' : `${ipv6.address}/${ipv6.prefixLength}`,
      };
      return [[containerId, member] as const];
    });
  }
}

function ipamConfig({subnet, ipRange, gateway, auxAddresses}: SubnetConfig) {
  return {
    Subnet: subnet,
    ...(ipRange !== undefined && {IPRange: ipRange}),
    Gateway: gateway,
    ...(auxAddresses && {AuxiliaryAddresses: sortedRecord(Object.entries(auxAddresses))}),
  };
}

/** As Docker tells them of its default bridge. */
function bridgeOptions(bridge: string | undefined, mtu: number): Readonly<Record<string, string>> {
  return {
    'com.docker.network.bridge.default_bridge': 'true',
    [OPTION.icc]: 'true',
    [OPTION.masquerade]: 'true',
    'com.docker.network.bridge.host_binding_ipv4': '0.0.0.0',
    ...(bridge !== undefined && {[OPTION.name]: bridge}),
    [OPTION.mtu]: String(mtu),
  };
}
