import {readFileSync} from 'node:fs';
import {hostname, release} from 'node:os';
import {isHostRoot} from '../binding/index.js';
import type {CgroupDriver} from '../cgroup/index.js';
import {detectCgroups} from '../cgroup/index.js';
import {capabilityMask, hostCapabilities} from './capabilities.js';
import type {ContainerConfig} from './container-config.js';
import {defaultUlimits, ownUlimits, type Ulimits} from './default-ulimits.js';
import {hostMaskedPaths} from './docker-defaults.js';

/** What a start needs to know about the host and does not change while we run; each fact is gathered once, when asked for. */
export class HostFacts {
  readonly #cgroupParent: string | undefined;
  #cgroups: CgroupDriver | undefined;
  #capabilities: bigint | undefined;
  #ulimits: Ulimits | undefined;
  #maskedPaths: readonly string[] | undefined;
  #resolvConf = {text: '', readAt: Number.NEGATIVE_INFINITY};

  /** Of the host: root of a user namespace is an ordinary user here. */
  readonly isRoot: boolean = isHostRoot();
  readonly hostname: string = hostname();
  /** Linux 6.7 takes overlay layers one by one. */
  readonly overlayLayerByLayer: boolean = kernelIsAtLeast(6, 7);
  /** Linux 5.19 takes layers whose mounts shift ids, */
  readonly shiftsLayers: boolean = kernelIsAtLeast(5, 19);
  /** and 6.15 takes the descriptors of such mounts. */
  readonly layersAsDescriptors: boolean = kernelIsAtLeast(6, 15);

  /** @param cgroupParent where containers' cgroups lie, unless their record says otherwise @default Coracle's own */
  constructor(cgroupParent?: string) {
    this.#cgroupParent = cgroupParent;
  }

  /** Ready for use: the parent of containers' cgroups exists. */
  get cgroups(): CgroupDriver {
    if (this.#cgroups === undefined) {
      this.#cgroups = detectCgroups();
      this.#cgroups.prepare();
      if (this.#cgroupParent !== undefined) this.#cgroups.prepare(this.#cgroupParent);
    }
    return this.#cgroups;
  }

  /** The bounding set of this process, as a mask. */
  get capabilities(): bigint {
    this.#capabilities ??= hostCapabilities();
    return this.#capabilities;
  }

  get ulimits(): Ulimits {
    this.#ulimits ??= defaultUlimits(this.ulimitCeiling);
    return this.#ulimits;
  }

  /** The limits of this process where it may not raise them; undefined where it may. */
  get ulimitCeiling(): Ulimits | undefined {
    const mayRaise = this.isRoot && (this.capabilities & capabilityMask(['CAP_SYS_RESOURCE'])) !== 0n;
    return mayRaise ? undefined : ownUlimits();
  }

  get maskedPaths(): readonly string[] {
    this.#maskedPaths ??= hostMaskedPaths();
    return this.#maskedPaths;
  }

  /** /etc/resolv.conf of the host, at most a second old; '' where there is none. */
  get resolvConf(): string {
    const now = process.uptime(); // seconds
    if (now - this.#resolvConf.readAt > 1)
      this.#resolvConf = {text: readIfPresent('/etc/resolv.conf'), readAt: now};
    return this.#resolvConf.text;
  }

  /** Index of an interface of the host, which a name server's address may be meant on; 0 when there is none. */
  linkIndex(link: string): number {
    return /^[^/]+$/.test(link) ? Number(readIfPresent(`/sys/class/net/${link}/ifindex`)) : 0;
  }

  /**
   * /etc/hosts as Docker writes it for a container with these addresses, or the host's own for its network.
   * @param others lines about others
   */
  hosts(
    {network, ...own}: Pick<ContainerConfig, 'network' | 'hostname' | 'domainname'>,
    addresses: readonly string[] = [],
    others = '',
  ): string {
    if (network === 'host') return readIfPresent('/etc/hosts') + others;
    const names = namesInHosts(own);
    return LOOPBACK_HOSTS + others + addresses.map(address => `${address}\t${names}\n`).join('');
  }
}

/** What a container's own addresses are called in its /etc/hosts: its whole name, and the first part of that. */
export function namesInHosts({
  hostname,
  domainname,
}: Pick<ContainerConfig, 'hostname' | 'domainname'>): string {
  const whole = domainname === '' ? hostname : `${hostname}.${domainname}`;
  const [first = ''] = whole.split('.');
  return first === '' || first === whole ? whole : `${whole} ${first}`;
}

/** moby, libnetwork/etchosts: the entries that every container has. */
const LOOPBACK_HOSTS = [
  '127.0.0.1\tlocalhost',
  '::1\tlocalhost ip6-localhost ip6-loopback',
  'fe00::0\tip6-localnet',
  'ff00::0\tip6-mcastprefix',
  'ff02::1\tip6-allnodes',
  'ff02::2\tip6-allrouters',
  '',
].join('\n');

function readIfPresent(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return ''; // a host without it gives none
  }
}

function kernelIsAtLeast(wantedMajor: number, wantedMinor: number): boolean {
  const [major = 0, minor = 0] = release().split('.', 2).map(Number);
  return major > wantedMajor || (major === wantedMajor && minor >= wantedMinor);
}
