/**
 * Which proxy an address is reached through, by `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` in either case. The rules are
 * those of Go's httpproxy, which Docker has: addresses of this host are never reached through one.
 */
import {BlockList, isIP} from 'node:net';
import {CoracleError} from '../errors.js';

export type Environment = Readonly<Record<string, string | undefined>>;

/** @throws `ERR_INVALID_PROXY` */
export function proxyFor(url: URL, env: Environment): URL | undefined {
  const name = url.protocol === 'https:' ? 'HTTPS_PROXY' : 'HTTP_PROXY';
  const value = env[name] || env[name.toLowerCase()];
  if (value === undefined || value === '') return undefined;
  if (isLoopback(url.hostname) || isExcepted(url, env['NO_PROXY'] || env['no_proxy'] || '')) return undefined;
  return parseProxy(name, value);
}

function parseProxy(name: string, value: string): URL {
  const text = /^[a-z0-9+.-]+:\/\//i.test(value) ? value : `http://${value}`;
  if (URL.canParse(text)) {
    const proxy = new URL(text);
    if (['http:', 'https:'].includes(proxy.protocol)) return proxy;
  }
  // The value may hold a password: it is not repeated.
  throw new CoracleError('ERR_INVALID_PROXY', `${name} is not the address of an HTTP proxy`, {
    hint: 'Write http://host:port or https://host:port; SOCKS is not supported.',
    details: {variable: name},
  });
}

export function isLoopback(hostname: string): boolean {
  const host = hostname.replace(/^\[|\]$/g, '');
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}

function isExcepted({hostname, port, protocol}: URL, exceptions: string): boolean {
  const host = hostname.replace(/^\[|\]$/g, '').toLowerCase();
  const wantedPort = port === '' ? (protocol === 'https:' ? '443' : '80') : port;
  return exceptions
    .split(',')
    .map(entry => entry.trim().toLowerCase())
    .filter(entry => entry !== '')
    .some(entry => {
      if (entry === '*') return true;
      if (isCidr(entry)) return inSubnet(host, entry);
      const [, name = '', onlyPort] = /^(\[[^\]]*\]|[^:]*|[^:]*:[^:]*:.*?)(?::(\d+))?$/.exec(entry) ?? [];
      if (onlyPort !== undefined && onlyPort !== wantedPort) return false;
      const plain = name.replace(/^\[|\]$/g, '').replace(/^\*\./, '.');
      if (isIP(host) !== 0) return host === plain;
      return plain.startsWith('.') ? host.endsWith(plain) : host === plain || host.endsWith(`.${plain}`);
    });
}

export function isCidr(text: string): boolean {
  const [address = '', length = '', ...rest] = text.split('/');
  const family = isIP(address);
  return (
    rest.length === 0 &&
    family !== 0 &&
    /^\d{1,3}$/.test(length) &&
    Number(length) <= (family === 4 ? 32 : 128)
  );
}

export function inSubnet(host: string, subnet: string): boolean {
  const family = isIP(host);
  const [address = '', length] = subnet.split('/');
  if (family === 0 || family !== isIP(address)) return false;
  const list = new BlockList();
  list.addSubnet(address, Number(length), family === 4 ? 'ipv4' : 'ipv6');
  return list.check(host, family === 4 ? 'ipv4' : 'ipv6');
}
