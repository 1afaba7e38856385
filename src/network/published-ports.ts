/** Ports of the host that lead to a container: which, and the steps that reserve them, lead there and end it. */
import {createSocket} from 'node:dgram';
import {existsSync} from 'node:fs';
import {createServer, isIPv6} from 'node:net';
import {
  HOST,
  isErrno,
  NETLINK_NETFILTER,
  requestNetlink,
  type Slot,
  type SlotAllocator,
  STEP_FLAGS,
  type Step,
} from '../binding/index.js';
import {CoracleError} from '../errors.js';
import {PROTOCOLS, type Published, publish, unpublish} from './bridge-rules.js';
import {type IpAddress, ipBytes, parseIp} from './ip.js';
import type {Endpoint} from './networks.js';
import type {Transaction} from './nftables.js';
import {boundAddress, socketAddress} from './socket-address.js';

/** As somebody wants it. */
export interface WantedPort {
  readonly containerPort: number;
  readonly protocol: Protocol;
  /** 0 = any that is free. */
  readonly hostPort: number;
  /** The last of a range to choose from. */
  readonly hostPortEnd: number;
  /** '' = what the network says, or all of the host's, of both families. */
  readonly hostAddress: string;
}

export type Protocol = keyof typeof PROTOCOLS;

/** As it is. */
export interface BoundPort {
  readonly containerPort: number;
  readonly protocol: Protocol;
  readonly hostPort: number;
  /** `0.0.0.0` and `::` are all of the host's. */
  readonly hostAddress: string;
}

/**
 * Port by port and family by family: what is left open is chosen among what is free now.
 * @param hostAddress of those that name none; '' = all of the host's
 * @throws `ERR_PORT_IN_USE` when nothing of a range is free
 */
export async function choosePorts(wanted: readonly WantedPort[], hostAddress = ''): Promise<BoundPort[]> {
  const bound: BoundPort[] = [];
  for (const port of wanted) {
    const address = port.hostAddress || hostAddress;
    const addresses = address === '' ? allAddresses() : [address];
    const hostPort = await choose(port, addresses, bound);
    const {containerPort, protocol} = port;
    bound.push(...addresses.map(hostAddress => ({containerPort, protocol, hostPort, hostAddress})));
  }
  return bound;
}

/** Those of a host without IPv6 are one. */
function allAddresses(): readonly string[] {
  return existsSync('/proc/net/if_inet6') ? ['0.0.0.0', '::'] : ['0.0.0.0'];
}

async function choose(
  {protocol, hostPort, hostPortEnd}: WantedPort,
  addresses: readonly string[],
  taken: readonly BoundPort[],
): Promise<number> {
  if (hostPort !== 0 && hostPortEnd <= hostPort) return hostPort;
  const isFree = async (port: number) => {
    if (taken.some(other => other.protocol === protocol && other.hostPort === port)) return false;
    const probes = await Promise.all(addresses.map(address => probe(protocol, port, address)));
    return probes.every(found => found !== undefined);
  };
  if (hostPort !== 0) {
    for (let port = hostPort; port <= hostPortEnd; port++) if (await isFree(port)) return port;
    throw portInUse(addresses[0] as string, hostPort);
  }
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const port = (await probe(protocol, 0, addresses[0] as string)) ?? 0;
    if (port !== 0 && (await isFree(port))) return port;
  }
  throw portInUse(addresses[0] as string, 0);
}

const ATTEMPTS = 20;

/**
 * The port, or the kernel's choice for 0, if nobody has it. Sctp has none to ask: its ports are taken as they come. So are
 * those of an address that is not this host's: the start will say that.
 */
function probe(protocol: Protocol, port: number, address: string): Promise<number | undefined> {
  const unasked = port === 0 ? 49_152 + Math.floor(Math.random() * 16_384) : port;
  if (protocol === 'sctp') return Promise.resolve(unasked);
  return new Promise(resolve => {
    const answer = ({code}: NodeJS.ErrnoException) => resolve(code === 'EADDRNOTAVAIL' ? unasked : undefined);
    const options = isIPv6(address) ? {ipv6Only: true} : {};
    if (protocol === 'tcp') {
      const server = createServer();
      server.once('error', answer);
      server.listen({port, host: address, ...options}, () => {
        const found = (server.address() as {port: number}).port;
        server.close(() => resolve(found));
      });
      return;
    }
    const socket = createSocket({type: isIPv6(address) ? 'udp6' : 'udp4', ...options});
    socket.once('error', error => {
      socket.close();
      answer(error);
    });
    socket.bind(port, address, () => {
      const found = socket.address().port;
      socket.close(() => resolve(found));
    });
  });
}

export function portInUse(address: string, port: number, cause?: unknown): CoracleError {
  const shown = address.includes(':') ? `[${address}]` : address;
  return new CoracleError('ERR_PORT_IN_USE', `Bind for ${shown}:${port} failed: port is already allocated`, {
    cause,
    hint: `See who has it: ss -lntup 'sport = :${port}'`,
    details: {address, port},
  });
}

/** In dockerd's words, which name whom it binds them by. @param step of `portSteps` that failed */
export function portRefused(step: Pick<Step, 's1' | 'x' | 'y'>, errno: string, cause: unknown): CoracleError {
  const {address, port} = boundAddress(step);
  if (errno === 'EADDRINUSE') return portInUse(address, port, cause);
  const [protocol] = Object.entries(PROTOCOLS).find(([, number]) => number === Number(step.y)) ?? [''];
  const place = address.includes(':') ? `${protocol}6 [${address}]` : `${protocol}4 ${address}`;
  const why = BIND_FAILURES[errno] ?? errno;
  const isUnknown = errno === 'EPROTONOSUPPORT' || errno === 'ESOCKTNOSUPPORT';
  const message = isUnknown ? why : `listen ${place}:${port}: bind: ${why}`;
  return new CoracleError('ERR_PORT_REFUSED', `Error starting userland proxy: ${message}`, {
    cause,
    hint: isUnknown
      ? `This kernel has no ${protocol}: modprobe ${protocol}.`
      : 'See which addresses this host has: ip -brief address',
    details: {address, port, protocol, errno},
  });
}

const BIND_FAILURES: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EADDRNOTAVAIL: 'cannot assign requested address',
  EPROTONOSUPPORT: 'protocol not supported',
  ESOCKTNOSUPPORT: 'protocol not supported',
};

const SOCKET_TYPES = {tcp: 1, udp: 2, sctp: 1} as const;
const BIND_STAGE = 'publish a port';

export interface PortSteps {
  /** Before anything of the container is there: somebody else may have the port. */
  readonly host: readonly Step[];
  /** Once it runs. */
  readonly started: readonly Step[];
}

/** Where ports lead. */
export type PortTarget = Pick<Endpoint, 'table' | 'ipv4' | 'ipv6'>;

/** @param translates the kernel; else the forwarder takes everything, where translated packets would be dropped */
export function portSteps(
  ports: readonly BoundPort[],
  target: PortTarget,
  slots: SlotAllocator,
  translates: boolean,
): PortSteps {
  if (ports.length === 0) return {host: [], started: []};
  const bound = ports.map(port => ({port, slot: slots.next()}));
  const translated = transactionStep(
    publish(target.table, translates ? translatedPorts(ports, target) : []),
    'lead a port to the container',
  );
  return {
    host: [...bound.map(({port, slot}) => bindStep(port, slot)), ...translated],
    started: [
      {
        op: 'forward',
        stage: 'hold the ports',
        s1: Buffer.concat(bound.map(({port, slot}) => forwardEntry(port, slot, target.ipv4.address))),
      },
      ...bound.map(({slot}): Step => ({op: 'close', stage: 'hold the ports', at: slot})),
    ],
  };
}

/** Ports that lead elsewhere from now on. */
export function movePortsSteps(
  ports: readonly BoundPort[],
  from: PortTarget | undefined,
  to: PortTarget | undefined,
): Step[] {
  return [
    ...(from === undefined ? [] : unpublishSteps(ports, from)),
    ...(to === undefined
      ? []
      : transactionStep(publish(to.table, translatedPorts(ports, to)), 'lead a port to the container')),
  ];
}

/** Fine with what is gone already, or leads elsewhere by now. */
export function unpublishSteps(ports: readonly BoundPort[], target: PortTarget): Step[] {
  return unpublish(target.table, translatedPorts(ports, target))
    .flatMap(taken => transactionStep(taken, 'take a port back'))
    .map(step => ({...step, flags: STEP_FLAGS.optional}));
}

/** At once; fine with what is gone already, or leads elsewhere by now. */
export function takePortsBack(ports: readonly BoundPort[], target: PortTarget): void {
  for (const {bytes, acks} of unpublish(target.table, translatedPorts(ports, target))) {
    try {
      requestNetlink(NETLINK_NETFILTER, bytes, acks, 'take a port back', target.table);
    } catch (error) {
      if (!isErrno(error, 'ENOENT', 'EEXIST', 'EBUSY')) throw error;
    }
  }
}

function transactionStep({bytes, acks}: Transaction, stage: string): Step[] {
  return acks === 0 ? [] : [{op: 'netlink', stage, at: HOST, s1: bytes, x: NETLINK_NETFILTER, y: acks}];
}

/** An address of the host's leads to one of its family; where there is none, and for ::1, the forwarder hands on. */
function translatedPorts(ports: readonly BoundPort[], {ipv4, ipv6}: Omit<PortTarget, 'table'>): Published[] {
  return ports.flatMap(({hostAddress, hostPort, protocol, containerPort}) => {
    const onHost = parseIp(hostAddress.replace(/%.*$/, ''));
    const inside = onHost?.family === 6 ? ipv6 : ipv4;
    if (onHost === undefined || inside === undefined || hostAddress === '::1') return [];
    return [
      {
        hostAddress: onHost.value === 0n ? undefined : onHost,
        hostPort,
        protocol,
        address: parseIp(inside.address) as IpAddress,
        port: containerPort,
      },
    ];
  });
}

function bindStep({hostAddress, hostPort, protocol}: BoundPort, out: Slot): Step {
  return {
    op: 'bind',
    stage: BIND_STAGE,
    out,
    s1: socketAddress(hostAddress, hostPort),
    x: SOCKET_TYPES[protocol],
    y: PROTOCOLS[protocol],
  };
}

/** struct ct_forward of native/forward.c. */
function forwardEntry({protocol, containerPort}: BoundPort, slot: Slot, address: string): Buffer {
  const entry = Buffer.alloc(12);
  entry.writeInt32LE(slot, 0);
  entry.writeUInt16LE(protocol === 'sctp' ? 0 : SOCKET_TYPES[protocol], 4);
  entry.writeUInt16BE(containerPort, 6);
  ipBytes(parseIp(address) as IpAddress).copy(entry, 8);
  return entry;
}
