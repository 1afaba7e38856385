/** `NetworkSettings` of Docker's inspect document: where a container is reached. Pure. */
import {type Endpoint, wayOut} from '../network/index.js';
import type {Connection} from './connect-network.js';
import {attachmentsOf} from './connects.js';
import type {ContainerConfig, NetworkAttachment} from './container-config.js';
import {type ContainerState, isUp} from './container-state.js';
import {orNull, sortedOrNull, sortedRecord} from './go-values.js';
import {donorId} from './shared-namespaces.js';

export interface NetworkFacts {
  /** Its places on networks, or those that it had. */
  readonly connection?: Connection | undefined;
  /** Of `none` or `host`, of a container that has been started on it; absent until somebody has asked for the network. */
  readonly predefinedNetworkId?: string | undefined;
}

/**
 * Without a network of its own all addresses are empty; the keys are there, since scripts read them. Those of the first
 * level are, as in Docker, of the default bridge alone. `SandboxKey` is a path to its namespace, for nsenter(1).
 */
export function networkSettings(
  config: ContainerConfig,
  state: ContainerState,
  {connection, predefinedNetworkId}: NetworkFacts,
) {
  const up = isUp(state);
  const wasUp = state.status !== 'created'; // a start that failed has left its places, too
  const endpointOf = (name: string) =>
    wasUp ? connection?.endpoints.find(({network}) => network === name) : undefined;
  const bridge = up ? endpointOf('bridge') : undefined;
  const {MacAddress, ...addresses} = addressesOf(bridge);
  return {
    Bridge: '',
    SandboxID: '',
    HairpinMode: false,
    LinkLocalIPv6Address: '',
    LinkLocalIPv6PrefixLen: 0,
    Ports: up && connection !== undefined ? openPorts(config.exposedPorts, connection) : {},
    SandboxKey: up && donorId(config.network) === undefined ? `/proc/${state.pid}/ns/net` : '',
    SecondaryIPAddresses: null as readonly unknown[] | null,
    SecondaryIPv6Addresses: null as readonly unknown[] | null,
    EndpointID: bridge?.endpointId ?? '',
    Gateway: addresses.Gateway,
    GlobalIPv6Address: addresses.GlobalIPv6Address,
    GlobalIPv6PrefixLen: addresses.GlobalIPv6PrefixLen,
    IPAddress: addresses.IPAddress,
    IPPrefixLen: addresses.IPPrefixLen,
    IPv6Gateway: addresses.IPv6Gateway,
    MacAddress,
    Networks: sortedRecord(
      shownAttachments(config).map(attachment => {
        const last = endpointOf(attachment.network);
        const networkId = last?.networkId ?? predefinedNetworkId ?? '';
        return [
          attachment.network,
          place(config, attachment, {networkId, endpoint: up ? last : undefined}),
        ] as const;
      }),
    ),
  };
}

/** Docker has `none` and `host` for networks, too. */
export function shownAttachments(
  config: Pick<ContainerConfig, 'network' | 'networks'>,
): readonly NetworkAttachment[] {
  const {network, networks} = config;
  if (networks === undefined && (network === 'none' || network === 'host')) return [{network}];
  return attachmentsOf(config);
}

function place(
  config: Pick<ContainerConfig, 'id' | 'hostname'>,
  attachment: NetworkAttachment,
  {networkId, endpoint}: {readonly networkId: string; readonly endpoint: Endpoint | undefined},
) {
  return {
    IPAMConfig: ipamConfig(attachment),
    Links: orNull(attachment.links ?? []) as readonly string[] | null,
    Aliases: orNull(aliasesOf(config, attachment)) as readonly string[] | null,
    NetworkID: networkId,
    EndpointID: endpoint?.endpointId ?? '',
    ...addressesOf(endpoint),
    DriverOpts: sortedOrNull(attachment.driverOptions),
  };
}

/** `network connect` says something of it even where it wants nothing. */
function ipamConfig({
  ipv4Address,
  ipv6Address,
  driverOptions,
}: NetworkAttachment): Readonly<Record<string, string>> | null {
  if (ipv4Address === undefined && ipv6Address === undefined) return driverOptions === undefined ? null : {};
  return {
    ...(ipv4Address !== undefined && {IPv4Address: ipv4Address}),
    ...(ipv6Address !== undefined && {IPv6Address: ipv6Address}),
  };
}

/** The short id and a name of its own belong to them, where there are names at all. */
function aliasesOf(
  {id, hostname}: Pick<ContainerConfig, 'id' | 'hostname'>,
  {networkId, aliases = []}: NetworkAttachment,
): readonly string[] {
  return networkId === undefined ? [] : [...new Set([...aliases, id.slice(0, 12), hostname])].filter(Boolean);
}

function addressesOf(endpoint: Endpoint | undefined) {
  return {
    Gateway: endpoint?.ipv4.gateway ?? '',
    IPAddress: endpoint?.ipv4.address ?? '',
    IPPrefixLen: endpoint?.ipv4.prefixLength ?? 0,
    IPv6Gateway: endpoint?.ipv6?.gateway ?? '',
    GlobalIPv6Address: endpoint?.ipv6?.address ?? '',
    GlobalIPv6PrefixLen: endpoint?.ipv6?.prefixLength ?? 0,
    MacAddress: endpoint?.mac ?? '',
  };
}

export interface PortBinding {
  readonly HostIp: string;
  readonly HostPort: string;
}

/** `NetworkSettings.Ports`: what is exposed, and where it is published; nothing of one that no network leads out of. */
export function openPorts(
  exposed: readonly string[],
  {endpoints, ports}: Connection,
): Readonly<Record<string, readonly PortBinding[] | null>> {
  if (wayOut(endpoints) === undefined) return {};
  const bound = bindingsOf(
    ports.map(({containerPort, protocol, hostAddress, hostPort}) => ({
      port: `${containerPort}/${protocol}`,
      HostIp: hostAddress,
      HostPort: String(hostPort),
    })),
  );
  const only = exposed.filter(port => !(port in bound)).map(port => [port, null] as const);
  return sortedRecord<readonly PortBinding[] | null>([...only, ...Object.entries(bound)]);
}

export function bindingsOf(
  list: readonly (PortBinding & {readonly port: string})[],
): Readonly<Record<string, readonly PortBinding[]>> {
  const found = new Map<string, PortBinding[]>();
  for (const {port, HostIp, HostPort} of list)
    found.set(port, [...(found.get(port) ?? []), {HostIp, HostPort}]);
  return sortedRecord([...found]);
}
