/**
 * The host's resolv.conf as a container with a network of its own can use it: a name server on the host's loopback is not
 * to be reached from there. Without any left, Docker's public ones. Pure. moby, libnetwork/resolvconf
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
