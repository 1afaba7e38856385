/**
 * The networks of a store, and who has which address. `networks/NAME.json` below the root says what a network is; what is
 * there of it now ends with the next boot and lies in the live directory: `networks/NAME/state.json` (bridge and subnet)
 * and `networks/NAME/addresses/ADDRESS`, a symlink that only one process can make. Its target says which container the
 * address is for, and which process asked.
 *
 * As long as a network has addresses, its bridge and its rules stay: `addresses` is removed first, and cannot be while
 * something is in it. So an address is taken without a lock.
 */
import {randomBytes, randomInt} from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import {join} from 'node:path';
import {
  identifyProcess,
  isAlive,
  isErrno,
  NETLINK_NETFILTER,
  NETLINK_ROUTE,
  type ProcessIdentity,
  requestNetlink,
} from '../binding/index.js';
import {CoracleError} from '../errors.js';
import {readRecord, withLock, writeRecord} from '../store/index.js';
import {bridgeRules, withoutBridgeRules} from './bridge-rules.js';
import {type ForeignDrop, foreignDrops} from './foreign-drops.js';
import {grant, withoutGrant} from './forward-grant.js';
import {
  contains,
  formatAddress,
  formatSubnet,
  macOf,
  parseAddress,
  parseSubnet,
  type Subnet,
  subnetSize,
} from './ipv4.js';
import {attributesOf, messagesOf} from './netlink-message.js';
import type {Transaction} from './nftables.js';
import {deleteLink, getLink, linkUp, newAddress, newBridge} from './rtnetlink.js';
import {type AddressPool, DEFAULT_POOLS, freeSubnets, hostRoutes} from './subnets.js';

/** `networks/NAME.json`. */
export interface NetworkRecord {
  readonly version: 1;
  /** 64 hexadecimal digits. */
  readonly id: string;
  readonly name: string;
  readonly driver: 'bridge' | 'host' | 'null';
  /** RFC 3339 with nanoseconds, UTC. */
  readonly created: string;
}

/** What a bridge network is while somebody uses it. */
export interface BridgeState {
  /** Name of the link on the host, and of its table of nftables. */
  readonly bridge: string;
  /** `172.17.0.0/16` */
  readonly subnet: string;
  readonly gateway: string;
}

/** A container's place on a network. */
export interface Endpoint {
  readonly network: string;
  readonly networkId: string;
  /** 64 hexadecimal digits, new for each start. */
  readonly endpointId: string;
  readonly bridge: string;
  /** Index of the bridge. */
  readonly bridgeIndex: number;
  /** Index of the veth's near end, beyond those that the kernel gives; random, since the last one may be there still. */
  readonly linkIndex: number;
  readonly address: string;
  readonly prefixLength: number;
  readonly gateway: string;
  readonly mac: string;
  /** The symlink that reserves the address, and its target. */
  readonly reservation: string;
  readonly holder: string;
}

/** The networks that are always there. */
export const PREDEFINED = ['bridge', 'host', 'none'] as const;

export const MTU = 1500;

export interface NetworkOptions {
  readonly pools?: readonly AddressPool[];
  /** Whether a bridge may be let through where another firewall drops what it does not know: `grant`. */
  readonly allowForwarding?: boolean;
}

/** A firewall that changes meanwhile is seen by the next start but one. */
const DROPS_HOLD_MS = 1000;

export class Networks {
  readonly #root: string;
  readonly #live: string;
  readonly #pools: readonly AddressPool[];
  readonly #allowForwarding: boolean;
  readonly #known = new Map<string, BridgeState>();
  /** What was found in the way of a bridge, and when. */
  readonly #drops = new Map<string, {readonly found: Promise<readonly ForeignDrop[]>; readonly at: number}>();

  /** @param live of the store: what ends with the next boot */
  constructor(
    root: string,
    live: string,
    {pools = DEFAULT_POOLS, allowForwarding = false}: NetworkOptions = {},
  ) {
    this.#root = join(root, 'networks');
    this.#live = join(live, 'networks');
    this.#pools = pools;
    this.#allowForwarding = allowForwarding;
  }

  /** Chains of others that drop what a bridge's containers send to other hosts, and what those send them; as of a moment ago. */
  foreignDrops(bridge: string): Promise<readonly ForeignDrop[]> {
    const known = this.#drops.get(bridge);
    const at = performance.now();
    if (known !== undefined && at - known.at < DROPS_HOLD_MS) return known.found;
    const found = this.#lookForDrops(bridge);
    this.#drops.set(bridge, {found, at});
    return found;
  }

  /** Those that are always there are made when somebody asks first. */
  async get(name: string): Promise<NetworkRecord> {
    return this.find(name) ?? this.#makePredefined(name);
  }

  /** By name. Undefined when there is none, or nobody has asked for a predefined one yet. */
  find(name: string): NetworkRecord | undefined {
    return readRecord(join(this.#root, `${name}.json`)) as NetworkRecord | undefined;
  }

  async list(): Promise<NetworkRecord[]> {
    return Promise.all(PREDEFINED.map(name => this.get(name)));
  }

  /** Undefined while nobody uses it. */
  stateOf(name: string): BridgeState | undefined {
    return readRecord(join(this.#live, name, 'state.json')) as BridgeState | undefined;
  }

  /**
   * An address for a container, and the bridge it is on, which is made when it is not there. It stays the container's
   * until `release`, or until neither the container runs nor this process lives.
   * @param previous its last address, for which it is asked first
   * @throws `ERR_NETWORK_UNAVAILABLE`, `ERR_NO_ADDRESS_LEFT`
   */
  async attach(name: string, containerId: string, previous?: string): Promise<Endpoint> {
    const network = await this.get(name);
    for (let attempt = 0; ; attempt++) {
      const state = this.#known.get(name) ?? this.stateOf(name);
      const index = state && linkIndex(state.bridge);
      const taken =
        state && index !== undefined ? this.#reserve(name, state, containerId, previous) : undefined;
      if (state !== undefined && index !== undefined && taken !== undefined) {
        this.#known.set(name, state);
        const {prefixLength} = parseSubnet(state.subnet) as Subnet;
        return {
          network: name,
          networkId: network.id,
          endpointId: randomBytes(32).toString('hex'),
          bridge: state.bridge,
          bridgeIndex: index,
          linkIndex: 0x4000_0000 + randomInt(0x3fff_ffff),
          address: taken.address,
          prefixLength,
          gateway: state.gateway,
          mac: macOf(parseAddress(taken.address) as number),
          reservation: taken.reservation,
          holder: taken.holder,
        };
      }
      if (attempt === 3) throw unavailable(name, undefined);
      this.#known.delete(name);
      await this.#establish(name);
    }
  }

  async #lookForDrops(bridge: string): Promise<readonly ForeignDrop[]> {
    const found = await foreignDrops('forward', bridge);
    if (!this.#allowForwarding || found.length === 0) return found;
    grant(bridge, found);
    return foreignDrops('forward', bridge);
  }

  /** Gives an address back; again is fine. */
  release({reservation, holder}: Pick<Endpoint, 'reservation' | 'holder'>): void {
    if (linkTarget(reservation) === holder) rmSync(reservation, {force: true});
  }

  /** Addresses of a network that are taken, with the containers that have them. */
  holders(name: string): {readonly address: string; readonly containerId: string}[] {
    const directory = this.#addresses(name);
    return entriesOf(directory).flatMap(address => {
      const holder = parseHolder(linkTarget(join(directory, address)));
      return holder === undefined ? [] : [{address, containerId: holder.containerId}];
    });
  }

  /** Whether there may be something to tidy. */
  get isUsed(): boolean {
    return existsSync(this.#live);
  }

  /**
   * Takes back what nobody has any more, and removes bridges and rules that nobody uses.
   * @param isUp whether a container runs or is about to
   */
  async tidy(isUp: (containerId: string) => boolean): Promise<void> {
    for (const name of entriesOf(this.#live)) {
      const directory = this.#addresses(name);
      for (const address of entriesOf(directory)) {
        const reservation = join(directory, address);
        const target = linkTarget(reservation);
        const holder = parseHolder(target);
        if (target === undefined || holder === undefined) continue;
        if (!isAlive(holder.asker) && !isUp(holder.containerId)) this.release({reservation, holder: target});
      }
      await this.#dissolve(name);
    }
  }

  #addresses(name: string): string {
    return join(this.#live, name, 'addresses');
  }

  /** Undefined when the network was given up meanwhile. @throws `ERR_NO_ADDRESS_LEFT` */
  #reserve(
    name: string,
    {subnet: text, gateway}: BridgeState,
    containerId: string,
    previous: string | undefined,
  ): {readonly address: string; readonly reservation: string; readonly holder: string} | undefined {
    const directory = this.#addresses(name);
    const holder = `${containerId} ${self().pid} ${self().startTime}`;
    const take = (address: string) => {
      const reservation = join(directory, address);
      symlinkSync(holder, reservation);
      return {address, reservation, holder};
    };
    const subnet = parseSubnet(text) as Subnet;
    try {
      if (previous !== undefined && isInside(subnet, previous)) {
        const reservation = join(directory, previous);
        const target = linkTarget(reservation);
        if (parseHolder(target)?.containerId === containerId)
          this.release({reservation, holder: target as string});
        if (linkTarget(reservation) === undefined) return take(previous);
      }
      const taken = new Set(readdirSync(directory));
      for (let number = 1; number < subnetSize(subnet) - 1; number++) {
        const address = formatAddress(subnet.base + number);
        if (address === gateway || taken.has(address)) continue;
        try {
          return take(address);
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
        }
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
    throw new CoracleError(
      'ERR_NO_ADDRESS_LEFT',
      `no available IPv4 addresses on this network's address pools: ${name}`,
      {
        hint: 'Stop a container that is on it.',
        details: {network: name},
      },
    );
  }

  /** Bridge and rules are there when this resolves. */
  async #establish(name: string): Promise<void> {
    mkdirSync(join(this.#live, name), {recursive: true, mode: 0o700});
    await withLock(join(this.#live, `${name}.lock`), () => {
      const present = this.stateOf(name);
      const state =
        present !== undefined && linkIndex(present.bridge) !== undefined
          ? present
          : this.#make(name, present);
      makeRules(state);
      makeBridgeUsable(state);
      writeRecord(join(this.#live, name, 'state.json'), state, {durable: false});
      mkdirSync(this.#addresses(name), {recursive: true, mode: 0o700});
    });
  }

  /** The bridge's name tells its subnet: two stores that want the same one at once cannot both make it. */
  #make(name: string, before: BridgeState | undefined): BridgeState {
    const wanted = before && parseSubnet(before.subnet);
    const candidates = [...(wanted === undefined ? [] : [wanted]), ...freeSubnets(this.#pools, hostRoutes())];
    for (const subnet of candidates) {
      if (hostRoutes().some(route => contains(route, subnet.base) || contains(subnet, route.base))) continue;
      const gateway = subnet.base + 1;
      const bridge = `cor-${subnet.base.toString(16).padStart(8, '0')}`;
      try {
        request(NETLINK_ROUTE, newBridge(bridge, macOf(gateway), MTU), 1, 'bridge', bridge);
      } catch (error) {
        if (isErrno(error, 'EEXIST')) continue;
        throw unavailable(name, error);
      }
      return {bridge, subnet: formatSubnet(subnet), gateway: formatAddress(gateway)};
    }
    throw unavailable(name, undefined);
  }

  /** Nobody can take an address once the directory is gone; with addresses in it, it stays. */
  async #dissolve(name: string): Promise<void> {
    await withLock(join(this.#live, `${name}.lock`), () => {
      const state = this.stateOf(name);
      try {
        rmdirSync(this.#addresses(name));
      } catch (error) {
        const {code} = error as NodeJS.ErrnoException;
        if (code === 'ENOTEMPTY') return;
        if (code !== 'ENOENT') throw error;
      }
      if (state === undefined) return;
      this.#known.delete(name);
      removeQuietly(NETLINK_ROUTE, {bytes: deleteLink(state.bridge), acks: 1}, state.bridge);
      removeQuietly(NETLINK_NETFILTER, withoutBridgeRules(state.bridge), state.bridge);
      withoutGrant(state.bridge);
      this.#drops.delete(state.bridge);
      rmSync(join(this.#live, name, 'state.json'), {force: true});
    });
  }

  async #makePredefined(name: string): Promise<NetworkRecord> {
    if (!(PREDEFINED as readonly string[]).includes(name)) {
      throw new CoracleError('ERR_NETWORK_NOT_FOUND', `network ${name} not found`, {
        hint: 'There are: bridge, host, none.',
        details: {network: name},
      });
    }
    mkdirSync(this.#root, {recursive: true, mode: 0o700});
    return withLock(join(this.#root, 'lock'), () => {
      const made = this.find(name);
      if (made !== undefined) return made;
      const record: NetworkRecord = {
        version: 1,
        id: randomBytes(32).toString('hex'),
        name,
        driver: name === 'none' ? 'null' : (name as 'bridge' | 'host'),
        created: new Date().toISOString(),
      };
      writeRecord(join(this.#root, `${name}.json`), record);
      return record;
    });
  }
}

function makeRules({bridge, subnet}: BridgeState): void {
  const rules = bridgeRules(bridge, parseSubnet(subnet) as Subnet);
  try {
    request(NETLINK_NETFILTER, rules.bytes, rules.acks, 'rules of nftables', bridge);
  } catch (error) {
    if (!isErrno(error, 'EEXIST')) throw unavailable(bridge, error);
  }
}

function makeBridgeUsable({bridge, subnet, gateway}: BridgeState): void {
  const index = linkIndex(bridge);
  if (index === undefined) throw unavailable(bridge, undefined);
  try {
    const address = newAddress(index, parseAddress(gateway) as number, parseSubnet(subnet) as Subnet);
    request(NETLINK_ROUTE, address, 1, 'address of the bridge', bridge);
  } catch (error) {
    if (!isErrno(error, 'EEXIST')) throw unavailable(bridge, error);
  }
  request(NETLINK_ROUTE, linkUp(index), 1, 'bridge', bridge);
  // Ports published on 127.0.0.1 lead over it; the rules keep everybody else from using that.
  writeFileSync(`/proc/sys/net/ipv4/conf/${bridge}/route_localnet`, '1');
  writeFileSync('/proc/sys/net/ipv4/ip_forward', '1');
}

/** Undefined when there is none of the name. */
function linkIndex(name: string): number | undefined {
  try {
    const answer = requestNetlink(NETLINK_ROUTE, getLink(name), 1, 'link', name);
    for (const {body} of messagesOf(answer)) {
      const [, found] = [...attributesOf(body.subarray(16))].find(([type]) => type === IFLA_IFNAME) ?? [];
      if (found?.toString('latin1').replace(/\0.*$/, '') === name) return body.readInt32LE(4);
    }
  } catch (error) {
    if (!isErrno(error, 'ENODEV')) throw error;
  }
  return undefined;
}

const IFLA_IFNAME = 3;

function request(...parameters: Parameters<typeof requestNetlink>): void {
  requestNetlink(...parameters);
}

function removeQuietly(protocol: number, {bytes, acks}: Transaction, subject: string): void {
  try {
    requestNetlink(protocol, bytes, acks, 'remove', subject);
  } catch (error) {
    if (!isErrno(error, 'ENODEV', 'ENOENT')) throw error;
  }
}

function unavailable(network: string, cause: unknown): CoracleError {
  return new CoracleError('ERR_NETWORK_UNAVAILABLE', `the network ${network} cannot be made on this host`, {
    cause,
    hint: 'It needs root, and a kernel with bridge, veth and nf_tables: modprobe -a bridge veth nf_tables nft_masq nft_nat nft_fib_ipv4. Without a network: --network none.',
    details: {network},
  });
}

interface Holder {
  readonly containerId: string;
  readonly asker: ProcessIdentity;
}

function parseHolder(target: string | undefined): Holder | undefined {
  const [, containerId, pid, startTime] = /^([0-9a-f]{64}) (\d+) (\d+)$/.exec(target ?? '') ?? [];
  if (containerId === undefined) return undefined;
  return {containerId, asker: {pid: Number(pid), startTime: Number(startTime)}};
}

function isInside(subnet: Subnet, address: string): boolean {
  const number = parseAddress(address);
  return number !== undefined && contains(subnet, number);
}

let ownIdentity: ProcessIdentity | undefined;

function self(): ProcessIdentity {
  ownIdentity ??= identifyProcess(process.pid);
  return ownIdentity ?? {pid: 0, startTime: 0};
}

function linkTarget(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}

function entriesOf(directory: string): string[] {
  try {
    return readdirSync(directory).filter(name => !name.endsWith('.lock'));
  } catch {
    return [];
  }
}
