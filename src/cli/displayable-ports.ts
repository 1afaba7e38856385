/** A port of a container, as Docker's list of containers has it. */
export interface ListedPort {
  readonly privatePort: number;
  readonly protocol: string;
  /** '' and 0: exposed only. */
  readonly address: string;
  readonly publicPort: number;
}

/** The column PORTS. docker/cli, cli/command/formatter/container.go: DisplayablePorts; consecutive ports are one entry. */
export function displayablePorts(ports: readonly ListedPort[]): string {
  const shown: string[] = [];
  const mapped: string[] = [];
  const groups = new Map<string, {first: number; last: number; port: ListedPort}>();
  for (const port of ports.toSorted(compare)) {
    const {privatePort, publicPort, address, protocol} = port;
    if (address !== '' && publicPort !== privatePort) {
      mapped.push(`${hostPort(address, String(publicPort))}->${privatePort}/${protocol}`);
      continue;
    }
    const key = `${address}/${protocol}`;
    const group = groups.get(key);
    if (group !== undefined && privatePort === group.last + 1) {
      group.last = privatePort;
      continue;
    }
    if (group !== undefined) shown.push(formGroup(group));
    groups.set(key, {first: privatePort, last: privatePort, port});
  }
  return [...shown, ...[...groups.values()].map(formGroup), ...mapped].join(', ');
}

function formGroup({
  first,
  last,
  port: {address, protocol},
}: {
  readonly first: number;
  readonly last: number;
  readonly port: ListedPort;
}): string {
  const range = first === last ? String(first) : `${first}-${last}`;
  return `${address === '' ? range : `${hostPort(address, range)}->${range}`}/${protocol}`;
}

function compare(a: ListedPort, b: ListedPort): number {
  return (
    a.privatePort - b.privatePort ||
    order(a.address, b.address) ||
    a.publicPort - b.publicPort ||
    order(a.protocol, b.protocol)
  );
}

function order(a: string, b: string): number {
  return a === b ? 0 : a < b ? -1 : 1;
}

function hostPort(address: string, port: string): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}
