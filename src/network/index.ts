/** Networks of containers: bridges, addresses, rules. */
export type {TakenAddress} from './addresses.js';
export type {BridgeState} from './bridges.js';
export {type CreateNetworkOptions, OPTION, type SubnetOptions} from './describe-network.js';
export {
  type EndpointSteps,
  endpointSteps,
  joinNetworkSteps,
  leaveNetworkSteps,
  type NetworkChange,
  removeLink,
  removeLinkStep,
  removeSharedLinksSteps,
  wayOut,
} from './endpoint-steps.js';
export {describeDrop, type ForeignDrop, foreignDrops, waysPast} from './foreign-drops.js';
export {networkHas, networkSize, networksOverlap, parseIp, parseNetwork} from './ip.js';
export {addressBytes, parseAddress} from './ipv4.js';
export {removeNamesSteps, resolvableNames} from './names.js';
export {isPredefined, type NetworkRecord, PREDEFINED, type SubnetConfig} from './network-records.js';
export {type AttachRequest, type Endpoint, Networks} from './networks.js';
export {addOwnNetwork, type OwnNetwork, removeOwnNetwork} from './own-names.js';
export {
  type BoundPort,
  choosePorts,
  movePortsSteps,
  portRefused,
  portSteps,
  takePortsBack,
  unpublishSteps,
  type WantedPort,
} from './published-ports.js';
export {
  NAME_SERVERS_MOST,
  type NameServer,
  RESOLVER_ADDRESS,
  type ResolverPlace,
  type ResolverSteps,
  resolverSteps,
} from './resolver-steps.js';
export type {AddressPool} from './subnets.js';
