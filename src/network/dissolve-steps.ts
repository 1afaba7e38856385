/**
 * A network without addresses has no bridge and no rules: whoever ends its last container takes them along, also where no
 * program is there to do it. The same that `Networks` does, under the same lock.
 */
import {
  HOST,
  NETLINK_NETFILTER,
  NETLINK_ROUTE,
  SLOT_LIMIT,
  type Slot,
  STEP_FLAGS,
  type Step,
} from '../binding/index.js';
import {withoutBridgeRules} from './bridge-rules.js';
import type {BridgeState} from './bridges.js';
import {deleteLinkAt} from './rtnetlink.js';

export interface NetworkPlaces {
  /** Of its state, names and addresses. */
  readonly directory: string;
  readonly lock: string;
}

/** For a teardown. Whatever fails is left to the next open. */
export function dissolveSteps({directory, lock}: NetworkPlaces, state: BridgeState): Step[] {
  const stage = 'remove the bridge';
  const step = (fields: Partial<Step> & Pick<Step, 'op'>): Step => ({
    stage,
    at: HOST,
    flags: STEP_FLAGS.optional,
    record: true,
    ...fields,
  });
  const socket = (out: Slot, protocol: number) =>
    step({op: 'socket', at: GONE, out, x: AF_NETLINK, y: SOCK_RAW, z: protocol});
  const rules = state.subnets.map(({subnet}) =>
    withoutBridgeRules(state.table, subnet.includes(':') ? 6 : 4),
  );
  return [
    step({op: 'lock', out: LOCK, s1: lock, x: PATIENCE_MS}),
    step({op: 'removeEmpty', at: LOCK, out: GONE, s1: `${directory}/addresses`}),
    socket(ROUTES, NETLINK_ROUTE),
    step({op: 'netlink', at: ROUTES, s1: deleteLinkAt(state.index), x: NETLINK_ROUTE, y: 1}),
    socket(RULES, NETLINK_NETFILTER),
    ...rules.map(({bytes, acks}) =>
      step({op: 'netlink', at: RULES, s1: bytes, x: NETLINK_NETFILTER, y: acks}),
    ),
    ...['names', 'pointers'].map(name => step({op: 'removeTree', at: GONE, s1: `${directory}/${name}`})),
    step({op: 'unlink', at: GONE, s1: `${directory}/state.json`}),
    ...[RULES, ROUTES, GONE, LOCK].map(at => step({op: 'close', at})),
  ];
}

const AF_NETLINK = 16;
const SOCK_RAW = 3;
const PATIENCE_MS = 2000;
/** Slots of a teardown are its own: the last ones, since a plan's compiler counts from the first. */
const [LOCK, GONE, ROUTES, RULES] = [2, 3, 4, 5].map(back => SLOT_LIMIT - back) as [Slot, Slot, Slot, Slot];
