/** `-p` and `--expose` as Docker's client reads them: go-connections, nat/nat.go and nat/parse.go; its messages. Pure. */
import {isIP} from 'node:net';
import {CoracleError} from '../errors.js';
import type {PublishedPort} from './run-options.js';

const PROTOCOLS = ['tcp', 'udp', 'sctp'] as const;
type Protocol = (typeof PROTOCOLS)[number];

/**
 * `80`, `8080:80`, `127.0.0.1:8080:80/udp`, `[::1]::80`, `8000-8010:80-90`, or `published=8080,target=80`: one or, for
 * ranges, several. A range of the host's for one port inside is a choice: `hostPortEnd`.
 * @throws `ERR_INVALID_OPTION`
 */
export function parsePublish(text: string): PublishedPort[] {
  return parsePortSpec(text.includes('=') ? shortForm(text) : text);
}

/** As `parsePublish`, the long form alone: what `EXPOSE` takes. @throws `ERR_INVALID_OPTION` */
export function parsePortSpec(text: string): PublishedPort[] {
  const [ports, protocolText] = splitProtocol(text);
  const parts = ports.split(':');
  const containerText = parts.at(-1) ?? '';
  const hostText = parts.length > 1 ? (parts.at(-2) ?? '') : '';
  const ipText = parts.slice(0, -2).join(':');
  const address = /^\[.*\]$/.test(ipText) ? ipText.slice(1, -1) : ipText;
  if (address !== '' && isIP(address) === 0) throw invalid(`invalid IP address: ${address}`);
  if (containerText === '') throw invalid(`no port specified: ${text}<empty>`);
  const container = range(containerText);
  if (container === undefined) throw invalid(`invalid containerPort: ${containerText}`);
  const host = hostText === '' ? undefined : range(hostText);
  if (hostText !== '' && host === undefined) throw invalid(`invalid hostPort: ${hostText}`);
  const protocol = protocolText.toLowerCase() as Protocol;
  if (!PROTOCOLS.includes(protocol)) throw invalid(`invalid proto: ${protocolText}`);
  const count = container.end - container.start;
  const chosen = host !== undefined && count === 0 && host.end !== host.start;
  if (host !== undefined && !chosen && host.end - host.start !== count)
    throw invalid(`invalid ranges specified for container and host Ports: ${containerText} and ${hostText}`);
  return Array.from({length: count + 1}, (_, i) => ({
    containerPort: container.start + i,
    protocol,
    ...(host !== undefined && {hostPort: chosen ? host.start : host.start + i}),
    ...(chosen && {hostPortEnd: host.end}),
    ...(address !== '' && {hostAddress: address}),
  }));
}

/** docker/cli, opts/port.go: `target=80,published=8080,protocol=udp,mode=host` */
function shortForm(text: string): string {
  const fields = new Map<string, string>();
  for (const field of text.split(',')) {
    const at = field.indexOf('=');
    if (at === -1) throw invalid(`invalid field: ${field}`);
    fields.set(field.slice(0, at).toLowerCase(), field.slice(at + 1).toLowerCase());
  }
  const of = (name: string) => fields.get(name) ?? '';
  return `${of('published')}:${of('target')}/${of('protocol') || 'tcp'}`;
}

/** `80`, `80/udp`, `8000-8010/tcp`, as `80/tcp` each. @throws `ERR_INVALID_OPTION` */
export function parseExpose(text: string): string[] {
  const [ports, protocol] = splitProtocol(text);
  const bad = (why: string) => invalid(`invalid range format for --expose: ${text}, error: ${why}`);
  if (ports === '') throw bad('empty string specified for ports');
  const numbers = ports.split('-', 2);
  for (const number of numbers) {
    if (!/^\d+$/.test(number))
      throw bad(`strconv.ParseUint: parsing ${JSON.stringify(number)}: invalid syntax`);
    if (Number(number) > 65_535)
      throw bad(`strconv.ParseUint: parsing ${JSON.stringify(number)}: value out of range`);
  }
  const [start = 0, end = start] = numbers.map(Number);
  if (end < start) throw bad(`invalid range specified for port: ${ports}`);
  return Array.from({length: end - start + 1}, (_, i) => `${start + i}/${protocol.toLowerCase()}`);
}

/** Without a protocol: tcp. What follows a second slash is dropped. */
function splitProtocol(text: string): [ports: string, protocol: string] {
  const [ports = '', protocol = ''] = text.split('/');
  return [ports, protocol === '' ? 'tcp' : protocol];
}

function range(text: string): {start: number; end: number} | undefined {
  const [, first, last = first] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text) ?? [];
  if (first === undefined) return undefined;
  const [start, end] = [Number(first), Number(last)];
  return start > 65_535 || end > 65_535 || end < start ? undefined : {start, end};
}

function invalid(message: string): CoracleError {
  return new CoracleError('ERR_INVALID_OPTION', message, {details: {option: 'ports'}});
}
