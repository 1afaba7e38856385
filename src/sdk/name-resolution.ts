/** Names inside: lines of /etc/hosts and of /etc/resolv.conf, as Docker writes and reads them. Pure. */
import {isIP} from 'node:net';
import {invalidOption} from './check-option.js';

/** What a container's names are resolved by, beside what the host has. */
export interface NameResolution {
  readonly servers: readonly string[];
  readonly search: readonly string[];
  readonly options: readonly string[];
}

/** The address of whoever is the way out: Docker's word for it. */
export const HOST_GATEWAY = 'host-gateway';

/** `db:10.0.0.1`, `db=10.0.0.1`, `db:[::1]`: name and address. docker/cli, opts/hosts.go. @throws `ERR_INVALID_OPTION` */
export function parseExtraHost(text: string): {readonly name: string; readonly address: string} {
  const at = text.search(/[:=]/);
  if (at <= 0) throw invalidOption('extraHosts', `bad format for add-host: ${JSON.stringify(text)}`);
  const [name, given] = [text.slice(0, at), text.slice(at + 1)];
  const address = given.replace(/^\[(.*)\]$/, '$1');
  if (address !== HOST_GATEWAY && isIP(address) === 0)
    throw invalidOption('extraHosts', `invalid IP address in add-host: ${JSON.stringify(given)}`);
  if (/[\s\0]/.test(name))
    throw invalidOption('extraHosts', `bad format for add-host: ${JSON.stringify(text)}`);
  return {name, address};
}

export function checkNameServer(text: string): void {
  if (isIP(text.trim()) === 0) throw invalidOption('dns', `IP address is not correctly formatted: ${text}`);
}

/** docker/cli, opts/opts.go: `.` alone means none. @throws `ERR_INVALID_OPTION` */
export function checkSearchDomain(text: string): void {
  const domain = text.trim();
  if (domain === '.') return;
  if (domain.length < 255 && DOMAIN.test(domain) && /[a-zA-Z]/.test(domain)) return;
  throw invalidOption('dnsSearch', `${text} is not a valid domain`);
}

const DOMAIN =
  /^(:?(:?[a-zA-Z0-9]|(:?[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9]))(:?\.(:?[a-zA-Z0-9]|(:?[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])))*)\.?\s*$/;

/** Lines for /etc/hosts. @param gateway what `host-gateway` stands for */
export function extraHostLines(extraHosts: readonly string[], gateway: string): string {
  return extraHosts
    .map(parseExtraHost)
    .map(({name, address}) => `${address === HOST_GATEWAY ? gateway : address}\t${name}\n`)
    .join('');
}

/** Of the host's resolv.conf what is not said otherwise. moby, libnetwork/resolvconf: Build */
export function resolvConfWith(text: string, {servers, search, options}: NameResolution): string {
  const ofHost = (keyword: string) => valuesOf(text, keyword);
  const domains = search.length > 0 ? search.map(domain => domain.trim()) : (ofHost('search').at(-1) ?? []);
  const nameServers = servers.length > 0 ? servers : ofHost('nameserver').map(([server = '']) => server);
  const settings = options.length > 0 ? options : (ofHost('options').at(-1) ?? []);
  return [
    ...(domains.length > 0 && domains.join(' ') !== '.' ? [`search ${domains.join(' ')}`] : []),
    ...nameServers.map(server => `nameserver ${server.trim()}`),
    ...(settings.length > 0 ? [`options ${settings.join(' ')}`] : []),
    '',
  ].join('\n');
}

/** What the lines of a resolv.conf say that begin with a keyword. */
export function valuesOf(text: string, keyword: string): string[][] {
  return text.split('\n').flatMap(line => {
    const [first, ...rest] = line.trim().split(/\s+/);
    return first === keyword ? [rest] : [];
  });
}
