/** What is said of options that are taken and may not do what was meant, in Docker's words. */
import type {RunOptions} from '../sdk/index.js';
import type {Context} from './command.js';

/** Docker's client says it before it asks for anything. */
export function warnOfLoopbackDns({dns = []}: RunOptions, {stderr}: Pick<Context, 'stderr'>): void {
  const loopback = dns.find(server => server.startsWith('127.') || server === '::1');
  if (loopback !== undefined)
    stderr.write(`WARNING: Localhost DNS setting (--dns=${loopback}) may fail in containers.\n`);
}

/** dockerd's, of a container that was made. */
export function warnOfDiscardedPorts(
  {network, ports = []}: RunOptions,
  {stderr}: Pick<Context, 'stderr'>,
): void {
  if (network === 'host' && ports.length > 0)
    stderr.write('WARNING: Published ports are discarded when using host network mode\n');
}
