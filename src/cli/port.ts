import type {ContainerInspect} from '../sdk/index.js';
import {ClientError} from './cli-error.js';
import type {Call, Command, Context} from './command.js';

export const command: Command = {
  name: 'port',
  usage: 'CONTAINER [PRIVATE_PORT[/PROTO]]',
  summary: 'List port mappings or a specific mapping for the container',
  aliases: ['container port'],
  flags: [],
  least: 1,
  most: 2,
  examples: ['coracle port web', 'coracle port web 80/tcp'],
  run,
};

async function run(call: Call, {sdk, stdout, stderr}: Context): Promise<number> {
  const [container, wanted] = call.words as [string, string?];
  const {NetworkSettings} = await (await sdk()).inspect(container, {size: false});
  if (wanted === undefined) {
    const lines = publishedPorts(NetworkSettings).flatMap(([port, hosts]) =>
      hosts.map(host => `${port} -> ${host}\n`),
    );
    stdout.write(lines.join(''));
    return 0;
  }
  const [number = '', protocol = ''] = wanted.split(/\/(.*)/s);
  const why = refusal(number);
  if (why !== undefined) {
    const quoted = JSON.stringify(number);
    throw new ClientError(`Error: invalid port (${number}): strconv.ParseUint: parsing ${quoted}: ${why}`);
  }
  const port = `${number}/${protocol || 'tcp'}`;
  const [, hosts] = publishedPorts(NetworkSettings).find(([published]) => published === port) ?? [];
  if (hosts === undefined || hosts.length === 0) {
    stderr.write(`Error: No public port '${wanted}' published for ${container}\n`);
    return 1;
  }
  stdout.write(hosts.map(host => `${host}\n`).join(''));
  return 0;
}

/** Why it is no port, in Go's words. */
function refusal(number: string): string | undefined {
  if (!/^\d+$/.test(number)) return 'invalid syntax';
  return Number(number) > 65_535 ? 'value out of range' : undefined;
}

/** `80/tcp` and the addresses of the host that lead there, in the order of the ports. */
function publishedPorts({
  Ports,
}: ContainerInspect['NetworkSettings']): (readonly [string, readonly string[]])[] {
  return Object.entries(Ports)
    .map(
      ([port, bindings]) =>
        [port, (bindings ?? []).map(({HostIp, HostPort}) => hostPort(HostIp, HostPort))] as const,
    )
    .toSorted(([a], [b]) => Number.parseInt(a, 10) - Number.parseInt(b, 10) || (a < b ? -1 : 1));
}

function hostPort(address: string, port: string): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}
