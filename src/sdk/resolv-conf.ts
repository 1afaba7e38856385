/** The host's resolv.conf for a container with a network of its own. Pure. moby, libnetwork/resolvconf */
import {NAME_SERVERS_MOST, type NameServer, RESOLVER_ADDRESS} from '../network/index.js';
import {type NameResolution, resolvConfWith, valuesOf} from './name-resolution.js';

/**
 * As a container without a resolver of its own can use it: a name server on the host's loopback is not to be reached from
 * there. Without any left, Docker's public ones.
 */
export function reachableServers(text: string): string {
  const lines = text.split('\n').filter(line => !LOOPBACK_SERVER.test(line));
  if (lines.some(line => /^\s*nameserver\s/.test(line))) return lines.join('\n');
  const rest = lines.join('\n').trimEnd();
  return [...(rest === '' ? [] : [rest]), ...PUBLIC_SERVERS.map(server => `nameserver ${server}`), ''].join(
    '\n',
  );
}

const LOOPBACK_SERVER = /^\s*nameserver\s+(127\.|::1\b)/;
const PUBLIC_SERVERS = ['8.8.8.8', '8.8.4.4'];

/** What a container with a resolver of its own has, and what that goes by. */
export interface ResolverConf {
  /** Of its resolv.conf. */
  readonly text: string;
  readonly servers: readonly NameServer[];
  readonly keepShortNames: boolean;
}

/**
 * The resolver asks from outside: there the host's loopback is what it is. Once somebody says how many dots a name has to
 * have, one without any is not sent on, as in Docker.
 * @param scopeOf the index of an interface
 */
export function resolverConf(
  host: string,
  {servers, search, options}: NameResolution = NOTHING_SAID,
  scopeOf: (link: string) => number = () => 0,
): ResolverConf {
  const settings = options.length > 0 ? options : (valuesOf(host, 'options').at(-1) ?? []);
  const dots = settings.find(option => option.startsWith('ndots:'));
  const told =
    servers.length > 0
      ? servers.map(server => server.trim())
      : valuesOf(host, 'nameserver').map(([server = '']) => server);
  return {
    text: resolvConfWith(host, {
      servers: [RESOLVER_ADDRESS],
      search,
      options: dots === undefined ? [...settings, 'ndots:0'] : settings,
    }),
    servers: (told.length > 0 ? told : PUBLIC_SERVERS).slice(0, NAME_SERVERS_MOST).map(server => {
      const [address = '', link] = server.split('%');
      return {address, scope: link === undefined ? 0 : scopeOf(link)};
    }),
    keepShortNames: dots !== undefined,
  };
}

const NOTHING_SAID: NameResolution = {servers: [], search: [], options: []};
