/**
 * Who has which address of a network: `networks/NAME/addresses/ADDRESS` in the live directory, a symlink that only one
 * process can make. Its target says which container the address is for, and which process asked.
 */
import {existsSync, readdirSync, readlinkSync, rmSync, symlinkSync} from 'node:fs';
import {join} from 'node:path';
import {identifyProcess, type ProcessIdentity} from '../binding/index.js';
import {CoracleError} from '../errors.js';
import {formatIp, type IpNetwork, networkHas, parseIp, parseNetwork, usableAddresses} from './ip.js';
import type {SubnetConfig} from './network-records.js';

/** An address that is taken. */
export interface TakenAddress {
  readonly address: string;
  readonly prefixLength: number;
  readonly gateway: string;
  /** The symlink that reserves it, and its target. */
  readonly reservation: string;
  readonly holder: string;
}

export interface Holder {
  readonly containerId: string;
  readonly asker: ProcessIdentity;
}

export interface AddressRequest {
  /** The network's name, for messages. */
  readonly network: string;
  readonly containerId: string;
  /** This one or none. */
  readonly wanted?: string | undefined;
  /** Its last one, for which it is asked first. */
  readonly previous?: string | undefined;
}

/**
 * Undefined when the directory was given up meanwhile.
 * @param directory of the addresses
 * @throws `ERR_NO_ADDRESS_LEFT`, `ERR_ADDRESS_IN_USE`
 */
export function takeAddress(
  directory: string,
  subnet: SubnetConfig,
  request: AddressRequest,
): TakenAddress | undefined {
  const {containerId, wanted, previous} = request;
  const network = parseNetwork(subnet.subnet) as IpNetwork;
  const holder = holderOf(containerId);
  const take = (address: string): TakenAddress | undefined => {
    const reservation = join(directory, address);
    try {
      symlinkSync(holder, reservation);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') return undefined;
      throw error;
    }
    return {address, prefixLength: network.prefixLength, gateway: subnet.gateway, reservation, holder};
  };
  const takeAgain = (address: string) => {
    const target = linkTarget(join(directory, address));
    if (parseHolder(target)?.containerId === containerId)
      releaseAddress(join(directory, address), target ?? '');
    return take(address);
  };
  try {
    if (wanted !== undefined) {
      const taken = takeAgain(wanted);
      if (taken !== undefined || !existsSync(directory)) return taken;
      throw new CoracleError('ERR_ADDRESS_IN_USE', 'Address already in use', {
        hint: `See who has ${wanted}: coracle network inspect ${request.network}`,
        details: {network: request.network, address: wanted},
      });
    }
    const reserved = new Set([subnet.gateway, ...Object.values(subnet.auxAddresses ?? {})]);
    const again = previous !== undefined && isInside(network, previous) && !reserved.has(previous);
    const taken = again ? takeAgain(previous) : undefined;
    if (taken !== undefined) return taken;
    for (const name of readdirSync(directory)) reserved.add(name);
    for (const address of addressesOf(subnet)) {
      if (reserved.has(address)) continue;
      const next = take(address);
      if (next !== undefined) return next;
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  throw new CoracleError(
    'ERR_NO_ADDRESS_LEFT',
    `no available ${network.family === 4 ? 'IPv4' : 'IPv6'} addresses on this network's address pools: ${request.network}`,
    {hint: 'Stop a container that is on it.', details: {network: request.network}},
  );
}

/**
 * An entry that is no address: the bridge stays, whoever ends on it meanwhile. One of a process that dies is given up as an
 * address would be.
 */
export function keepBridge(directory: string, containerId: string): Disposable {
  const place = join(directory, `kept-by-${self().pid}-${containerId.slice(0, 12)}`);
  const holder = holderOf(containerId);
  try {
    symlinkSync(holder, place);
  } catch (error) {
    if (!['EEXIST', 'ENOENT'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  }
  return {[Symbol.dispose]: () => releaseAddress(place, holder)};
}

function holderOf(containerId: string): string {
  return `${containerId} ${self().pid} ${self().startTime}`;
}

/** Gives an address back if it is this holder's; again is fine. */
export function releaseAddress(reservation: string, holder: string): void {
  if (linkTarget(reservation) === holder) rmSync(reservation, {force: true});
}

export function linkTarget(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}

export function parseHolder(target: string | undefined): Holder | undefined {
  const [, containerId, pid, startTime] = /^([0-9a-f]{64}) (\d+) (\d+)$/.exec(target ?? '') ?? [];
  if (containerId === undefined) return undefined;
  return {containerId, asker: {pid: Number(pid), startTime: Number(startTime)}};
}

export function isInside(network: IpNetwork, address: string): boolean {
  const parsed = parseIp(address);
  return parsed !== undefined && networkHas(network, parsed);
}

function* addressesOf({subnet, ipRange}: SubnetConfig): Generator<string> {
  const range = ipRange === undefined ? undefined : parseNetwork(ipRange);
  for (const address of usableAddresses(parseNetwork(subnet) as IpNetwork, range)) yield formatIp(address);
}

let ownIdentity: ProcessIdentity | undefined;

function self(): ProcessIdentity {
  ownIdentity ??= identifyProcess(process.pid);
  return ownIdentity ?? {pid: 0, startTime: 0};
}
