/** Networks of containers: bridges, addresses, rules. */

export {type EndpointSteps, endpointSteps} from './endpoint-steps.js';
export {formatAddress, parseAddress} from './ipv4.js';
export {type BridgeState, type Endpoint, type NetworkRecord, Networks, PREDEFINED} from './networks.js';
