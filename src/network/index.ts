/** Networks of containers: bridges, addresses, rules. */
export {type EndpointSteps, endpointSteps} from './endpoint-steps.js';
export {type BridgeState, type Endpoint, type NetworkRecord, Networks, PREDEFINED} from './networks.js';
export {
  type BoundPort,
  choosePorts,
  portInUse,
  portSteps,
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
export {boundAddress} from './socket-address.js';
