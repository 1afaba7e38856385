/**
 * The networks of a store while somebody uses them: bridges, rules, and who has which address. What a network is lasts and
 * stands in its record; what is there of it now ends with the next boot and lies in the live directory:
 * `networks/NAME/state.json` (bridge and subnets), its addresses and its names.
 *
 * As long as a network has addresses, its bridge and its rules stay: `addresses` is removed first, and cannot be while
 * something is in it. So an address is taken without a lock.
 */
import {randomBytes, randomInt} from 'node:crypto';
import {chmodSync, existsSync, mkdirSync, readdirSync, rmdirSync, rmSync} from 'node:fs';
import {join} from 'node:path';
import {isAlive, type Step} from '../binding/index.js';
import {CoracleError} from '../errors.js';
import {withLock} from '../store/index.js';
import {
  isInside,
  keepBridge,
  linkTarget,
  parseHolder,
  releaseAddress,
  type TakenAddress,
  takeAddress,
} from './addresses.js';
import {BridgeChoice, type NetworkDefaults} from './bridge-choice.js';
import {
  type BridgeState,
  isThere,
  makeBridgeUsable,
  makeRules,
  removeBridge,
  unavailable,
} from './bridges.js';
import {bridgeSettings, type CreateNetworkOptions, describeNetwork} from './describe-network.js';
import {dissolveSteps} from './dissolve-steps.js';
import {DropWatch} from './drop-watch.js';
import type {ForeignDrop} from './foreign-drops.js';
import {formatIp, type IpAddress, type IpNetwork, isForAll, parseIp, parseNetwork} from './ip.js';
import {macOf} from './ipv4.js';
import {addNames, type Named, removeNames, sweepNames} from './names.js';
import {
  checkNetworkName,
  isPredefined,
  type NetworkRecord,
  NetworkRecords,
  networkNotFound,
  type SubnetConfig,
} from './network-records.js';
import {hostRoutes} from './subnets.js';

/** A container's place on a network. */
export interface Endpoint {
  readonly network: string;
  readonly networkId: string;
  /** 64 hexadecimal digits, new for each start. */
  readonly endpointId: string;
  readonly bridge: string;
  /** Of nftables. */
  readonly table: string;
  /** Index of the bridge. */
  readonly bridgeIndex: number;
  /** Index of the veth's near end, beyond those that the kernel gives; random, since the last one may be there still. */
  readonly linkIndex: number;
  /** Inside: 0 for eth0. */
  readonly number: number;
  /** @default 'eth' */
  readonly interfacePrefix?: string;
  /** Where its ports are published that name no address. @default all of the host's */
  readonly hostAddress?: string;
  readonly mtu: number;
  /** No way out. */
  readonly internal: boolean;
  /** It reaches no other container on the bridge. */
  readonly isolated: boolean;
  readonly mac: string;
  readonly ipv4: TakenAddress;
  readonly ipv6?: TakenAddress;
  /** What others on the network find it by; none on the default bridge. */
  readonly names: readonly string[];
  /** What its addresses are called. */
  readonly pointer: string;
}

export interface AttachRequest {
  readonly containerId: string;
  /** Of the network that is meant; another one of its name is not. */
  readonly networkId?: string | undefined;
  /** Its interface there: 0 for eth0. */
  readonly number: number;
  /** Addresses and no others. */
  readonly ipv4Address?: string | undefined;
  readonly ipv6Address?: string | undefined;
  /** @default made of the address */
  readonly mac?: string | undefined;
  /** Where it was last, which it is asked for first. */
  readonly previous?: Pick<Endpoint, 'ipv4' | 'ipv6'> | undefined;
  /** What others find it by; see `resolvableNames`. */
  readonly names: readonly string[];
  readonly pointer: string;
}

export class Networks {
  readonly records: NetworkRecords;
  readonly #live: string;
  readonly #choice: BridgeChoice;
  readonly #known = new Map<string, BridgeState>();
  readonly #drops: DropWatch;

  /** @param live of the store: what ends with the next boot */
  constructor(root: string, live: string, defaults: NetworkDefaults = {}) {
    this.records = new NetworkRecords(join(root, 'networks'));
    this.#live = join(live, 'networks');
    this.#choice = new BridgeChoice(this.records, this.#live, defaults);
    this.#drops = new DropWatch(defaults.allowForwarding ?? false);
  }

  /**
   * A network of somebody's own. Nothing of it is on the host before a container is.
   * @throws `ERR_NAME_IN_USE`, `ERR_INVALID_NAME`, `ERR_NETWORK_PREDEFINED` and those of `describeNetwork`
   */
  async create(name: string, options: CreateNetworkOptions): Promise<NetworkRecord> {
    checkNetworkName(name);
    return this.records.create(name, (id, others) =>
      describeNetwork(id, name, options, {
        others,
        subnets: this.#choice.defaultSubnets(),
        spared: this.#choice.sparedSubnets(others),
        routes: hostRoutes(),
        pools: this.#choice.pools,
      }),
    );
  }

  /** @param isUp see `tidy` @throws `ERR_NETWORK_PREDEFINED`, `ERR_NETWORK_IN_USE`, `ERR_NETWORK_NOT_FOUND` */
  async remove(record: NetworkRecord, isUp: (containerId: string) => boolean): Promise<void> {
    const {name, id} = record;
    if (isPredefined(name)) {
      throw new CoracleError(
        'ERR_NETWORK_PREDEFINED',
        `${name} is a pre-defined network and cannot be removed`,
        {
          details: {network: name},
        },
      );
    }
    this.#releaseAbandoned(name, isUp);
    const isGone = await this.#whileLocked(name, () => {
      if (!this.#dissolveLocked(name)) {
        throw new CoracleError(
          'ERR_NETWORK_IN_USE',
          `error while removing network: network ${name} id ${id} has active endpoints`,
          {
            hint: 'Stop its containers, or disconnect them: coracle network disconnect.',
            details: {network: name},
          },
        );
      }
      rmSync(join(this.#live, name), {recursive: true, force: true});
      rmSync(join(this.#live, lockOf(name)), {force: true}); // who waits for it sees that it is another's
      return this.records.remove(record);
    });
    if (!isGone) throw networkNotFound(name);
  }

  /** Undefined while nobody uses it. */
  stateOf(name: string): BridgeState | undefined {
    return this.#choice.stateOf(name);
  }

  /**
   * A place for a container, and the bridge it is on, which is made when it is not there. It stays the container's
   * until `release`, or until neither the container runs nor this process lives.
   * @throws `ERR_NETWORK_UNAVAILABLE`, `ERR_NETWORK_NOT_FOUND`, `ERR_NO_ADDRESS_LEFT`, `ERR_ADDRESS_IN_USE`, `ERR_INVALID_OPTION`
   */
  async attach(name: string, request: AttachRequest): Promise<Endpoint> {
    const network = isPredefined(name) ? await this.records.get(name) : this.records.find(name);
    if (network === undefined || (request.networkId !== undefined && network.id !== request.networkId))
      throw networkNotFound(request.networkId ?? name);
    checkAddresses(network, request);
    for (let attempt = 0; ; attempt++) {
      const state = this.#known.get(name) ?? this.stateOf(name);
      const taken = state && isThere(state) ? this.#take(network, state, request) : undefined;
      if (state !== undefined && taken !== undefined) {
        this.#known.set(name, state);
        const {icc, hostAddress, interfacePrefix} = bridgeSettings(network);
        const endpoint: Endpoint = {
          network: name,
          networkId: network.id,
          endpointId: randomBytes(32).toString('hex'),
          bridge: state.bridge,
          table: state.table,
          bridgeIndex: state.index,
          linkIndex: 0x4000_0000 + randomInt(0x3fff_ffff),
          number: request.number,
          mtu: state.mtu,
          internal: network.internal ?? false,
          isolated: !icc,
          ...(hostAddress !== undefined && {hostAddress}),
          ...(interfacePrefix !== undefined && {interfacePrefix}),
          mac: request.mac ?? macOf(Number(parseIp(taken.ipv4.address)?.value)),
          ...taken,
          names: isPredefined(name) ? [] : request.names,
          pointer: request.pointer,
        };
        try {
          addNames(this.named(endpoint));
        } catch (error) {
          this.release(endpoint);
          throw error;
        }
        return endpoint;
      }
      if (attempt === 3) throw unavailable(name, undefined);
      this.#known.delete(name);
      await this.#establish(network);
    }
  }

  /** Chains of others that drop what a bridge's containers send to other hosts, and what those send them; as of a moment ago. */
  foreignDrops(bridge: string): Promise<readonly ForeignDrop[]> {
    return this.#drops.of(bridge);
  }

  /** Gives addresses and names back; again is fine. */
  release(endpoint: Endpoint): void {
    const named = this.named(endpoint);
    removeNames(named);
    for (const {reservation, holder} of named.addresses) releaseAddress(reservation, holder);
  }

  /** Steps that remove the bridge, if nobody has an address on it by then; none where others' rules let it through. */
  dissolveSteps({network}: Pick<Endpoint, 'network'>): Step[] {
    const state = this.stateOf(network);
    if (state === undefined || this.#drops.allowForwarding) return [];
    const places = {directory: join(this.#live, network), lock: join(this.#live, lockOf(network))};
    return dissolveSteps(places, state);
  }

  /** What leads to an endpoint, and where that is written down. */
  named({network, ipv4, ipv6, names, pointer}: Omit<Endpoint, 'networkId'>): Named {
    return {
      directory: join(this.#live, network),
      names,
      pointer,
      addresses: ipv6 === undefined ? [ipv4] : [ipv4, ipv6],
    };
  }

  /** Others find it by these names from now on. @returns as it is then */
  rename(endpoint: Endpoint, {names, pointer}: Pick<Endpoint, 'names' | 'pointer'>): Endpoint {
    const renamed = {...endpoint, names: endpoint.names.length === 0 ? [] : names, pointer};
    const before = this.named(endpoint);
    removeNames({...before, names: before.names.filter(name => !renamed.names.includes(name))});
    addNames(this.named(renamed));
    return renamed;
  }

  /** Addresses of a network that are taken, with the containers that have them. */
  holders(name: string): {readonly address: string; readonly containerId: string}[] {
    const directory = this.#addresses(name);
    return entriesOf(directory).flatMap(address => {
      const holder = parseHolder(linkTarget(join(directory, address)));
      return holder === undefined || parseIp(address) === undefined
        ? []
        : [{address, containerId: holder.containerId}];
    });
  }

  /** While a container has no place there for a moment, its bridges stay as they are. */
  keep(containerId: string, endpoints: readonly Pick<Endpoint, 'network'>[]): Disposable {
    const kept = endpoints.map(({network}) => keepBridge(this.#addresses(network), containerId));
    return {
      [Symbol.dispose]() {
        for (const each of kept) each[Symbol.dispose]();
      },
    };
  }

  /** Directory of all of them, with the names that resolvers read. */
  get liveDirectory(): string {
    return this.#live;
  }

  /** Of the default bridge. */
  get mtu(): number {
    return this.#choice.mtu;
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
      this.#releaseAbandoned(name, isUp);
      await this.#dissolve(name);
    }
  }

  #releaseAbandoned(name: string, isUp: (containerId: string) => boolean): void {
    const directory = this.#addresses(name);
    for (const address of entriesOf(directory)) {
      const reservation = join(directory, address);
      const target = linkTarget(reservation);
      const holder = parseHolder(target);
      if (target === undefined || holder === undefined) continue;
      if (!isAlive(holder.asker) && !isUp(holder.containerId)) releaseAddress(reservation, target);
    }
    sweepNames(join(this.#live, name), address => linkTarget(join(directory, address)));
  }

  #addresses(name: string): string {
    return join(this.#live, name, 'addresses');
  }

  /** Undefined when the network was given up meanwhile. */
  #take(
    {name}: NetworkRecord,
    {subnets}: BridgeState,
    {containerId, ipv4Address, ipv6Address, previous}: AttachRequest,
  ): Pick<Endpoint, 'ipv4' | 'ipv6'> | undefined {
    const directory = this.#addresses(name);
    const [first, second] = subnets;
    const request = {network: name, containerId};
    const ipv4 =
      first &&
      takeAddress(directory, first, {...request, wanted: ipv4Address, previous: previous?.ipv4.address});
    if (ipv4 === undefined || second === undefined) return ipv4 && {ipv4};
    try {
      const ipv6 = takeAddress(directory, second, {
        ...request,
        wanted: ipv6Address && formatIp(parseIp(ipv6Address) as IpAddress),
        previous: previous?.ipv6?.address,
      });
      return ipv6 && {ipv4, ipv6};
    } catch (error) {
      releaseAddress(ipv4.reservation, ipv4.holder);
      throw error;
    }
  }

  /** Bridge and rules are there when this resolves. */
  async #establish({name, id}: NetworkRecord): Promise<void> {
    await this.#whileLocked(name, async () => {
      const network = this.records.find(name);
      if (network?.id !== id) throw networkNotFound(name);
      const present = this.stateOf(name);
      const isMade = present !== undefined && isThere(present);
      const state = isMade ? present : await this.#choice.make(network, present);
      makeRules(network, state);
      makeBridgeUsable(network, state);
      // Resolvers, which have no privileges, pass through these to the names. Nobody else gets so far.
      for (const directory of [this.#live, join(this.#live, name)]) chmodSync(directory, 0o711);
      mkdirSync(this.#addresses(name), {recursive: true, mode: 0o700});
    });
  }

  /** Nobody can take an address once the directory is gone; with addresses in it, it stays. */
  async #dissolve(name: string): Promise<void> {
    await this.#whileLocked(name, () => this.#dissolveLocked(name));
  }

  /** @returns whether nothing is left of it */
  #dissolveLocked(name: string): boolean {
    const state = this.stateOf(name);
    try {
      rmdirSync(this.#addresses(name));
    } catch (error) {
      const {code} = error as NodeJS.ErrnoException;
      if (code === 'ENOTEMPTY') return false;
      if (code !== 'ENOENT') throw error;
    }
    if (state === undefined) return true;
    this.#known.delete(name);
    removeBridge(state);
    this.#drops.end(state.bridge);
    for (const left of ['names', 'pointers', 'state.json'])
      rmSync(join(this.#live, name, left), {recursive: true, force: true});
    return true;
  }

  async #whileLocked<T>(name: string, work: () => T | Promise<T>): Promise<T> {
    mkdirSync(join(this.#live, name), {recursive: true, mode: 0o700});
    return withLock(join(this.#live, lockOf(name)), work);
  }
}

/** In dockerd's words. @throws `ERR_INVALID_OPTION` */
function checkAddresses(
  {name, subnets = []}: NetworkRecord,
  {ipv4Address, ipv6Address}: Pick<AttachRequest, 'ipv4Address' | 'ipv6Address'>,
): void {
  const wanted = [ipv4Address, ipv6Address].filter(address => address !== undefined);
  const refuse = (message: string) =>
    new CoracleError('ERR_INVALID_OPTION', message, {details: {option: 'networks', network: name}});
  for (const address of wanted) {
    if (isPredefined(name))
      throw refuse('user specified IP address is supported on user defined networks only');
    const family = address.includes(':') ? 6 : 4;
    const own = subnets.filter(({subnet}) => parseNetwork(subnet)?.family === family);
    if (own.some(({chosen}) => chosen)) {
      throw refuse(
        'user specified IP address is supported only when connecting to networks with user configured subnets',
      );
    }
    if (!own.some(({subnet}) => isInside(parseNetwork(subnet) as IpNetwork, address)))
      throw refuse(`Invalid address ${address}: It does not belong to any of this network's subnets`);
    const role = own
      .map(subnet => roleOf(subnet, parseIp(address) as IpAddress))
      .find(each => each !== undefined);
    if (role !== undefined) {
      throw new CoracleError('ERR_ADDRESS_IN_USE', 'Address already in use', {
        hint: `${address} is ${role} of ${name}.`,
        details: {network: name, address},
      });
    }
  }
}

/** Of an address that no container can have. */
function roleOf({subnet, gateway, auxAddresses = {}}: SubnetConfig, address: IpAddress): string | undefined {
  const text = formatIp(address);
  if (text === gateway) return 'the gateway';
  if (Object.values(auxAddresses).includes(text)) return 'an auxiliary address';
  return isForAll(parseNetwork(subnet) as IpNetwork, address.value)
    ? 'the first or the last address'
    : undefined;
}

/** No network has such a name. */
function lockOf(name: string): string {
  return `.${name}.lock`;
}

function entriesOf(directory: string): string[] {
  try {
    return readdirSync(directory).filter(name => !name.startsWith('.'));
  } catch {
    return [];
  }
}
