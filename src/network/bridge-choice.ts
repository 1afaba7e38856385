/**
 * Which bridge a network gets, and with which subnets: what it was given, or the first of the pools that neither this host nor
 * another network has anything of. What it will be is written down before it is made.
 */
import {rmSync} from 'node:fs';
import {join} from 'node:path';
import {readRecord, writeRecord} from '../store/index.js';
import {type BridgeState, makeBridge, planBridge, unavailable} from './bridges.js';
import {bridgeSettings, chooseSubnet, subnetsOf} from './describe-network.js';
import {formatIp, type IpNetwork, networksOverlap, parseNetwork} from './ip.js';
import {isPredefined, type NetworkRecord, type NetworkRecords, type SubnetConfig} from './network-records.js';
import {type AddressPool, DEFAULT_POOLS, freeSubnets, hostRoutes} from './subnets.js';

/** What the configuration says of networks. */
export interface NetworkDefaults {
  /** @default Docker's */
  readonly pools?: readonly AddressPool[];
  /** Address and subnet of the default bridge: `192.168.5.1/24`. @default from the pools */
  readonly bip?: string;
  /** Of the default bridge, in bytes. @default 1500 */
  readonly mtu?: number;
  /** Whether a bridge may be let through where another firewall drops what it does not know. @default false */
  readonly allowForwarding?: boolean;
}

export const DEFAULT_MTU = 1500;

export class BridgeChoice {
  readonly #records: NetworkRecords;
  readonly #live: string;
  readonly #defaults: NetworkDefaults;

  /** @param live `networks` of the live directory */
  constructor(records: NetworkRecords, live: string, defaults: NetworkDefaults) {
    this.#records = records;
    this.#live = live;
    this.#defaults = defaults;
  }

  get pools(): readonly AddressPool[] {
    return this.#defaults.pools ?? DEFAULT_POOLS;
  }

  /** Of the default bridge. */
  get mtu(): number {
    return this.#defaults.mtu ?? DEFAULT_MTU;
  }

  /** Undefined while nobody uses it. */
  stateOf(name: string): BridgeState | undefined {
    return readRecord(join(this.#live, name, 'state.json')) as BridgeState | undefined;
  }

  /** The bridge is there when this resolves, without rules and addresses. @param before where it was last */
  async make(network: NetworkRecord, before: BridgeState | undefined): Promise<BridgeState> {
    const {name} = network;
    const given = network.subnets ?? this.#bipSubnets();
    if (given !== undefined && !given.some(({chosen}) => chosen)) {
      const state = this.#tryBridge(network, given);
      if (state === undefined) throw unavailable(name, undefined, given[0]?.subnet);
      return state;
    }
    const rest = (given ?? []).filter(({chosen}) => !chosen);
    const wanted = given?.find(({chosen}) => chosen) ?? before?.subnets[0];
    return this.#records.whileLocked(() => {
      const others = this.#records.listMade().filter(other => other.name !== name);
      const taken = [...others.flatMap(subnetsOf), ...(isPredefined(name) ? [] : this.defaultSubnets())];
      const last =
        wanted && this.#isFree(wanted, taken) ? this.#tryBridge(network, [wanted, ...rest]) : undefined;
      if (last !== undefined) return last;
      for (;;) {
        const subnet = chooseSubnet({pools: this.pools, routes: hostRoutes()}, taken);
        const state = this.#tryBridge(network, [subnet, ...rest]);
        if (state === undefined) {
          taken.push(parseNetwork(subnet.subnet) as IpNetwork);
          continue;
        }
        if (!isPredefined(name)) this.#records.replace({...network, subnets: state.subnets});
        return state;
      }
    });
  }

  /** Undefined when somebody else has a link of its name. */
  #tryBridge(network: NetworkRecord, subnets: readonly SubnetConfig[]): BridgeState | undefined {
    const {name} = network;
    const mtu = bridgeSettings(network).mtu ?? (isPredefined(name) ? this.mtu : DEFAULT_MTU);
    const state = planBridge(network, {mtu, subnets});
    const path = join(this.#live, name, 'state.json');
    writeRecord(path, state, {durable: false});
    if (makeBridge(name, state)) return state;
    rmSync(path, {force: true});
    return undefined;
  }

  #isFree({subnet}: SubnetConfig, taken: readonly IpNetwork[]): boolean {
    const network = parseNetwork(subnet) as IpNetwork;
    return ![...taken, ...hostRoutes()].some(other => networksOverlap(network, other));
  }

  /** Of the default bridge, whose record does not say it: what it has, and what it is to have. */
  defaultSubnets(): IpNetwork[] {
    const subnets = [...(this.stateOf('bridge')?.subnets ?? []), ...(this.#bipSubnets() ?? [])];
    return subnetsOf({subnets});
  }

  /** What the default bridge would get, if it has none. */
  sparedSubnets(others: readonly NetworkRecord[]): IpNetwork[] {
    if (this.defaultSubnets().length > 0) return [];
    const [first] = freeSubnets(this.pools, [...others.flatMap(subnetsOf), ...hostRoutes()]);
    return first === undefined ? [] : [first];
  }

  #bipSubnets(): readonly SubnetConfig[] | undefined {
    const {bip} = this.#defaults;
    const network = bip === undefined ? undefined : parseNetwork(bip);
    if (bip === undefined || network === undefined) return undefined;
    const [address = ''] = bip.split('/');
    const {base, prefixLength, family} = network;
    return [{subnet: `${formatIp({family, value: base})}/${prefixLength}`, gateway: address}];
  }
}
