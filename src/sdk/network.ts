import type {BridgeState, NetworkRecord} from '../network/index.js';
import {readEndpoint} from './connect-network.js';
import type {InRuntime} from './image.js';
import {Runtime} from './runtime.js';

/** What containers can be connected by. Those that are always there: `bridge`, `host` and `none`. */
export class Network {
  readonly name: string;
  /** 64 hexadecimal digits. */
  readonly id: string;
  readonly driver: NetworkRecord['driver'];
  /** RFC 3339, UTC. */
  readonly created: string;
  readonly #runtime: Runtime;

  private constructor(runtime: Runtime, {name, id, driver, created}: NetworkRecord) {
    this.#runtime = runtime;
    this.name = name;
    this.id = id;
    this.driver = driver;
    this.created = created;
  }

  /** By name, id or its beginning. @throws `ERR_NETWORK_NOT_FOUND` */
  static async get(nameOrId: string, in_: InRuntime = {}): Promise<Network> {
    const runtime = in_.runtime ?? (await Runtime.default());
    const known = await runtime.networks.list();
    const found =
      known.find(({name}) => name === nameOrId) ??
      known.find(({id}) => nameOrId !== '' && id.startsWith(nameOrId));
    return new Network(runtime, found ?? (await runtime.networks.get(nameOrId)));
  }

  /** By name. */
  static async list(in_: InRuntime = {}): Promise<Network[]> {
    const runtime = in_.runtime ?? (await Runtime.default());
    return (await runtime.networks.list()).map(record => new Network(runtime, record));
  }

  /** Docker's inspect document of a network. While nobody is on a bridge network, it has no subnet. */
  inspect() {
    const state = this.#runtime.networks.stateOf(this.name);
    return {
      Name: this.name,
      Id: this.id,
      Created: this.created,
      Scope: 'local',
      Driver: this.driver as string,
      EnableIPv4: true,
      EnableIPv6: false,
      IPAM: {
        Driver: 'default',
        Options: null,
        Config: state === undefined ? [] : [{Subnet: state.subnet, Gateway: state.gateway}],
      },
      Internal: false,
      Attachable: false,
      Ingress: false,
      ConfigFrom: {Network: ''},
      ConfigOnly: false,
      Containers: Object.fromEntries(this.#members()),
      Options: this.driver === 'bridge' ? bridgeOptions(state) : {},
      Labels: {},
    };
  }

  #members() {
    return this.#runtime.networks.holders(this.name).flatMap(({containerId}) => {
      const record = this.#runtime.findContainer(containerId);
      const endpoint = record && readEndpoint(this.#runtime.placesOf(record).directory);
      if (record === undefined || endpoint === undefined) return [];
      const member = {
        Name: record.name,
        EndpointID: endpoint.endpointId,
        MacAddress: endpoint.mac,
        IPv4Address: `${endpoint.address}/${endpoint.prefixLength}`,
        IPv6Address: '',
      };
      return [[containerId, member] as const];
    });
  }
}

/** As Docker tells them of its default bridge. */
function bridgeOptions(state: BridgeState | undefined): Readonly<Record<string, string>> {
  const option = (name: string) => `com.docker.network.bridge.${name}`;
  return {
    [option('default_bridge')]: 'true',
    [option('enable_icc')]: 'true',
    [option('enable_ip_masquerade')]: 'true',
    [option('host_binding_ipv4')]: '0.0.0.0',
    ...(state && {[option('name')]: state.bridge}),
    'com.docker.network.driver.mtu': '1500',
  };
}
