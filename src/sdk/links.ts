/** Containers that another is linked to: how that is written, and what Docker tells the other of them. Pure. */
import {invalidOption} from './check-option.js';

/** A container on the default bridge, and what the one that is linked to it calls it. */
export interface Link {
  /** Its id. */
  readonly container: string;
  readonly alias: string;
}

/** `db:store`, `db` for `db:db`, or as inspect writes it, `/db:/web/store`. docker/cli, opts: ParseLink. @throws `ERR_INVALID_OPTION` */
export function parseLink(text: string): Link {
  if (text === '') throw invalidOption('links', 'empty string specified for links');
  const [container = '', alias = container, ...more] = text.split(':');
  if (more.length > 0) throw invalidOption('links', `bad format for links: ${text}`);
  if (!container.startsWith('/')) return {container, alias};
  return {container: container.slice(1), alias: alias.slice(alias.lastIndexOf('/') + 1)};
}

/** What is told of a container. */
export interface Linked {
  readonly name: string;
  readonly hostname: string;
  readonly address: string;
  /** `80/tcp` each. */
  readonly exposedPorts: readonly string[];
  readonly env: readonly string[];
}

/** A line for /etc/hosts. moby, daemon/container_operations.go */
export function linkHostLine(
  alias: string,
  {name, hostname, address}: Pick<Linked, 'name' | 'hostname' | 'address'>,
): string {
  const names = [alias, hostname, ...(alias === name ? [] : [name])];
  return `${address}\t${names.join(' ')}\n`;
}

/** Variables of old. @param parent the name of the container that has them. moby, daemon/links/links.go */
export function linkVariables(parent: string, alias: string, {address, exposedPorts, env}: Linked): string[] {
  const prefix = alias.toUpperCase().replaceAll('-', '_');
  const ports = exposedPorts.map(parsePort).sort(byNumber);
  const variables = new Map<string, string>();
  const urlOf = ({protocol, number}: Port) => `${protocol}://${address}:${number}`;
  const keyOf = (number: number, protocol: string) => `${prefix}_PORT_${number}_${protocol.toUpperCase()}`;
  if (ports[0] !== undefined) variables.set(`${prefix}_PORT`, urlOf(ports[0]));
  for (const [first, last] of runsOf(ports)) {
    const [from, to] = [keyOf(first.number, first.protocol), keyOf(first.number, last.protocol)];
    variables.set(`${from}_START`, urlOf(first));
    variables.set(`${from}_ADDR`, address);
    variables.set(`${from}_PROTO`, first.protocol);
    variables.set(`${from}_PORT_START`, String(first.number));
    variables.set(`${to}_END`, urlOf(last));
    variables.set(`${to}_PORT_END`, String(last.number));
  }
  for (const port of ports) {
    const key = keyOf(port.number, port.protocol);
    variables.set(key, urlOf(port));
    variables.set(`${key}_ADDR`, address);
    variables.set(`${key}_PORT`, String(port.number));
    variables.set(`${key}_PROTO`, port.protocol);
  }
  variables.set(`${prefix}_NAME`, `/${parent}/${alias}`);
  for (const variable of env) {
    const [, key = '', value = ''] = /^([^=]+)=(.*)$/s.exec(variable) ?? [];
    if (key !== '' && key !== 'HOME' && key !== 'PATH') variables.set(`${prefix}_ENV_${key}`, value);
  }
  return [...variables].map(([key, value]) => `${key}=${value}`);
}

/** First and last of three ports and more that follow each other. One number of two protocols counts as two, as there. */
function* runsOf(ports: readonly Port[]): Generator<[first: Port, last: Port]> {
  for (let i = 0; i < ports.length; ) {
    const first = ports[i] as Port;
    let last = i;
    while (last + 1 < ports.length && (ports[last + 1] as Port).number <= first.number + last + 1 - i) last++;
    if (last > i + 1) yield [first, ports[last] as Port];
    i = last > i + 1 ? last + 1 : i + 1;
  }
}

interface Port {
  readonly number: number;
  readonly protocol: string;
}

function parsePort(text: string): Port {
  const [number = '', protocol = 'tcp'] = text.split('/');
  return {number: Number(number), protocol};
}

/** Of one number that of tcp first. */
function byNumber(a: Port, b: Port): number {
  return a.number - b.number || Number(b.protocol === 'tcp') - Number(a.protocol === 'tcp');
}
