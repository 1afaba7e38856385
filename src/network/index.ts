/** Networks of containers: bridges, addresses, rules. */

export {type EndpointSteps, endpointSteps} from './endpoint-steps.js';
export {describeDrop, type ForeignDrop, foreignDrops, waysPast} from './foreign-drops.js';
export {type BridgeState, type Endpoint, type NetworkRecord, Networks, PREDEFINED} from './networks.js';
export {
  type BoundPort,
  boundAddress,
  choosePorts,
  portInUse,
  portSteps,
  unpublishSteps,
  type WantedPort,
} from './published-ports.js';
