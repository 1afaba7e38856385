/** Gathers what a container's plan needs from its record, its image, the store and the host. */

import {readdirSync, statSync} from 'node:fs';
import {join} from 'node:path';
import {coreFile, type Plan, SlotAllocator} from '../binding/index.js';
import {type CgroupSteps, DEFAULT_DEVICE_RULES, type DeviceRule} from '../cgroup/index.js';
import {CoracleError} from '../errors.js';
import {wayOut} from '../network/index.js';
import {copiedRoot, hasCopiedRoot, type StoredImage, type VolumeFileSystem} from '../store/index.js';
import {capabilityNames, resolveCapabilities} from './capabilities.js';
import {checkPrivileges} from './check-privileges.js';
import {
  compileInParts,
  compilePlan,
  type DeviceNode,
  type IdMaps,
  INIT_PATH,
  type PlanInput,
} from './compile-plan.js';
import {type Connection, type JoinedFiles, networkWarnings} from './connect-network.js';
import {type ContainerConfig, processEnv, withHome} from './container-config.js';
import type {Bookkeeping, ContainerPlaces} from './container-files.js';
import {NETWORK_SYSCTLS, READONLY_PATHS} from './docker-defaults.js';
import type {HostFacts} from './host-facts.js';
import {extraHostLines, resolvConfWith} from './name-resolution.js';
import {ownNamesDirectory, ownNetwork, usesResolver} from './own-names.js';
import {parseDeviceRule} from './parse-device-rule.js';
import type {BoundSource} from './plan-mounts.js';
import {type MountableVolume, mountVolumeSteps, unmountVolumeSteps} from './plan-volumes.js';
import {reachableServers, resolverConf} from './resolv-conf.js';
import {resolveUser} from './resolve-user.js';
import type {IdRange} from './run-options.js';
import {seccompFilter} from './seccomp-program.js';

/** What a start has to know of a volume. */
export interface StartVolume {
  readonly directory: string;
  /** Mounted while somebody uses it. */
  readonly fileSystem: VolumeFileSystem | undefined;
}

export interface StartRequest {
  readonly config: ContainerConfig;
  readonly image: StoredImage;
  readonly baseLayer: string;
  readonly places: ContainerPlaces;
  /** Nobody mounts its writable layer again. */
  readonly transient: boolean;
  /** @throws `ERR_VOLUME_NOT_FOUND` */
  readonly volume: (name: string) => StartVolume;
  readonly bookkeeping: Bookkeeping;
  /** Its places on networks. */
  readonly endpoint?: Connection | undefined;
  /** Where the names of networks are. */
  readonly networksDirectory: string;
  /** Of the container whose network it shares. */
  readonly joined?: JoinedFiles | undefined;
  /** @default 'never' */
  readonly waits?: PlanInput['waits'];
  /** Whether /etc/hosts and the like are mounted. @default true */
  readonly etcFiles?: PlanInput['etcFiles'];
  /** Variables that this start alone adds. */
  readonly extraEnv: readonly string[];
}

/** How much of a start a plan is. */
export type StartPart = 'whole' | 'base' | 'rest';

export interface PreparedStart {
  readonly plan: Plan;
  /** Limits that are not enforced, one sentence each. */
  readonly warnings: readonly string[];
  /** What the container's cgroups will be. */
  readonly cgroups: CgroupSteps['directories'];
}

/**
 * @throws `ERR_USER_UNKNOWN`, `ERR_LIMIT_UNSUPPORTED`, `ERR_INVALID_OPTION`, `ERR_DEVICE_NOT_FOUND`,
 * `ERR_SECCOMP_PROFILE`, `ERR_UNSUPPORTED_OPTION`, `ERR_NEEDS_ROOT`, `ERR_NAMESPACES_FORBIDDEN`
 */
export function prepareStart(
  facts: HostFacts,
  request: StartRequest,
  part: StartPart = 'whole',
): PreparedStart {
  const {config, image, places} = request;
  checkPrivileges(config, facts);
  const rootless = !facts.isRoot;
  const user = resolveUser(config.user, config.groups, image);
  const capabilities = resolveCapabilities(
    {add: config.capabilities.add, drop: config.capabilities.drop, privileged: config.privileged},
    facts.capabilities,
  );
  const devices = deviceNodes(config);
  const slots = new SlotAllocator();
  // A record may name another parent than this runtime has made: it was written under another configuration.
  if (config.cgroupParent !== undefined) facts.cgroups.prepare(config.cgroupParent);
  const cgroup = facts.cgroups.compile(
    {
      name: config.id,
      ...(config.cgroupParent !== undefined && {parent: config.cgroupParent}),
      limits: config.limits,
      whenUnavailable: config.whenUnavailable,
      ...(config.privileged || rootless ? {} : {devices: deviceRules(config, devices)}),
    },
    slots,
  );
  const env = withHome([...processEnv(config, request.endpoint?.linked?.env), ...request.extraEnv], user);
  const input: PlanInput = {
    config,
    rootfs: {
      layers: [...image.layers.toReversed(), request.baseLayer],
      directory: places.writable,
      copy: hasCopiedRoot(places.writable) ? copiedRoot(places.writable) : undefined,
      volatile: request.transient,
      userXattr: rootless,
      layerByLayer: facts.overlayLayerByLayer,
      layersAsDescriptors: facts.layersAsDescriptors,
    },
    etcDirectory: places.directory,
    etcFiles: request.etcFiles,
    user,
    env,
    capabilities,
    seccomp: seccompFilter(config, capabilityNames(capabilities)),
    ulimits: facts.ulimits,
    cgroup,
    userNamespace: idMaps(config, rootless),
    waits: request.waits ?? 'never',
    sources: [
      ...config.mounts.map(mount => sourceOf(mount, name => request.volume(name).directory)),
      ...(config.init ? [initProgram()] : []),
    ],
    maskedPaths: facts.maskedPaths,
    readOnlyPaths: READONLY_PATHS,
    networkSysctls: rootless || config.userNamespace !== 'host' ? SINGLE_ID_SYSCTLS : NETWORK_SYSCTLS,
    devices,
    hosts: request.joined?.hosts ?? hostsFile(config, facts, request.endpoint),
    ...nameService(request, facts),
    endpoint: request.endpoint,
    bookkeeping: withVolumes(request, slots),
  };
  const plan = part === 'whole' ? compilePlan(input, slots) : compileInParts(input, slots)[part];
  return {
    plan,
    warnings: [...cgroup.warnings, ...networkWarnings(request.endpoint)],
    cgroups: cgroup.directories,
  };
}

/** Volumes are there before what needs them, and are let go when nothing of the container runs any more. */
function withVolumes({config, volume, bookkeeping}: StartRequest, slots: SlotAllocator): Bookkeeping {
  const mountable = new Map<string, MountableVolume>();
  for (const mount of config.mounts) {
    if (mount.type !== 'volume') continue;
    const {directory, fileSystem} = volume(mount.name);
    if (fileSystem !== undefined) mountable.set(mount.name, {name: mount.name, directory, fileSystem});
  }
  if (mountable.size === 0) return bookkeeping;
  const volumes = [...mountable.values()];
  return {
    ...bookkeeping,
    host: [...bookkeeping.host, ...volumes.flatMap(each => mountVolumeSteps(each, config.id, slots))],
    teardown: [
      ...volumes.flatMap(each => unmountVolumeSteps(each, [config.id], slots)),
      ...bookkeeping.teardown,
    ],
  };
}

/** What stands in /etc/hosts. */
export function hostsFile(
  config: ContainerConfig,
  facts: HostFacts,
  endpoint: Connection | undefined,
): string {
  const endpoints = endpoint?.endpoints ?? [];
  const addresses = endpoints.flatMap(({ipv4, ipv6}) => [ipv4.address, ...(ipv6 ? [ipv6.address] : [])]);
  const {extraHosts = []} = config;
  const gateway = (wayOut(endpoints) ?? endpoints[0])?.ipv4.gateway ?? '127.0.0.1';
  const others = extraHostLines(extraHosts, gateway) + (endpoint?.linked?.hosts ?? '');
  return facts.hosts(config, addresses, others);
}

/** By its own resolver on a network of somebody's own, else by what the host has. */
function nameService(
  {config, endpoint, joined, places, networksDirectory}: StartRequest,
  facts: HostFacts,
): Pick<PlanInput, 'resolvConf' | 'resolver'> {
  if (joined !== undefined) return {resolvConf: joined.resolvConf, resolver: undefined};
  const {dns} = config;
  if (endpoint !== undefined && usesResolver(endpoint.endpoints)) {
    const {text, ...asked} = resolverConf(facts.resolvConf, dns, link => facts.linkIndex(link));
    return {
      resolvConf: text,
      resolver: {
        ...asked,
        networks: networksDirectory,
        own: ownNamesDirectory(places.directory),
        on: endpoint.endpoints.map(({network, internal}) => ownNetwork(config, network, internal)),
      },
    };
  }
  const text = dns === undefined ? facts.resolvConf : resolvConfWith(facts.resolvConf, dns);
  const said = dns !== undefined && dns.servers.length > 0;
  const resolvConf = endpoint === undefined || said ? text : reachableServers(text);
  return {resolvConf, resolver: undefined};
}

export function idMaps({userNamespace}: ContainerConfig, rootless: boolean): IdMaps | undefined {
  if (rootless) return {...ownIds(), by: 'user', rootUid: 0, rootGid: 0};
  if (userNamespace === 'host') return undefined;
  const lines = (ranges: readonly IdRange[]) =>
    ranges.map(({inside, outside, count}) => `${inside} ${outside} ${count}\n`).join('');
  return {
    uids: lines(userNamespace.uids),
    gids: lines(userNamespace.gids),
    by: 'root',
    rootUid: outsideOf(0, userNamespace.uids),
    rootGid: outsideOf(0, userNamespace.gids),
  };
}

/** @throws `ERR_INVALID_OPTION`: without a root inside nothing can be set up there */
function outsideOf(id: number, ranges: readonly IdRange[]): number {
  const range = ranges.find(({inside, count}) => id >= inside && id < inside + count);
  if (range === undefined) {
    throw new CoracleError('ERR_INVALID_OPTION', `userNamespace must map the id ${id} inside`, {
      details: {option: 'userNamespace'},
    });
  }
  return range.outside + (id - range.inside);
}

/** An ordinary user has one id to map, to root inside. */
function ownIds() {
  return {uids: `0 ${process.geteuid?.()} 1`, gids: `0 ${process.getegid?.()} 1`};
}

/** Ping sockets for groups that a namespace does not map cannot be allowed. */
const {'net.ipv4.ping_group_range': _unmapped, ...SINGLE_ID_SYSCTLS} = NETWORK_SYSCTLS;

function sourceOf(
  mount: ContainerConfig['mounts'][number],
  volumeDirectory: (name: string) => string,
): BoundSource {
  switch (mount.type) {
    case 'tmpfs':
      return {kind: 'tmpfs', mount};
    case 'volume':
      return {
        kind: 'bind',
        source: `${volumeDirectory(mount.name)}/_data`,
        ...(mount.subpath !== undefined && {subpath: mount.subpath}),
        target: mount.target,
        readOnly: mount.readOnly ?? false,
        recursive: true,
        create: false,
        shifted: true,
        propagation: 'rprivate',
      };
    case 'bind':
      return {
        kind: 'bind',
        source: mount.source,
        target: mount.target,
        readOnly: mount.readOnly ?? false,
        ...(mount.writableBelow && {writableBelow: true}),
        recursive: !mount.nonRecursive,
        create: mount.createSource ?? false,
        shifted: false,
        propagation: mount.propagation ?? 'rprivate',
      };
    default:
      return mount satisfies never;
  }
}

function initProgram(): BoundSource {
  return {
    kind: 'bind',
    source: coreFile('coracle-init'),
    target: INIT_PATH,
    readOnly: true,
    recursive: false,
    create: false,
    shifted: true,
    propagation: 'rprivate',
  };
}

/** The devices that were asked for; all of the host's when privileged, as Docker gives them. */
function deviceNodes({devices, privileged}: ContainerConfig): DeviceNode[] {
  const nodes = privileged ? hostDevices() : [];
  for (const {source, target} of devices) {
    const status = statOf(source);
    if (status?.isDirectory()) {
      for (const path of listDevices(source, () => true)) {
        const node = deviceNode(path, join(target, path.slice(source.length)));
        if (node !== undefined) nodes.push(node);
      }
      continue;
    }
    const node = deviceNode(source, target);
    if (node === undefined) {
      const why = status === undefined ? 'no such file or directory' : 'not a device node';
      throw new CoracleError(
        'ERR_DEVICE_NOT_FOUND',
        `error gathering device information while adding custom device "${source}": ${why}`,
        {details: {source}},
      );
    }
    nodes.push(node);
  }
  return nodes;
}

function deviceNode(source: string, target: string): DeviceNode | undefined {
  const status = statOf(source);
  if (status === undefined || !(status.isBlockDevice() || status.isCharacterDevice())) return undefined;
  const {major, minor} = splitDevice(status.rdev);
  return {
    path: target,
    type: status.isBlockDevice() ? 'b' : 'c',
    major,
    minor,
    mode: status.mode & 0o777,
    uid: status.uid,
    gid: status.gid,
  };
}

/** gnu_dev_major and gnu_dev_minor of makedev(3), for the 32-bit numbers that the kernel hands out. */
function splitDevice(rdev: number): {major: number; minor: number} {
  return {major: (rdev >>> 8) & 0xfff, minor: (rdev & 0xff) | ((rdev >>> 12) & 0xfff00)};
}

/** What the container makes for itself is left out: oci/devices of containerd does the same. */
const OWN = new Set([
  'pts',
  'shm',
  'fd',
  'mqueue',
  'console',
  '.lxc',
  '.lxd-mounts',
  '.udev',
  'ptmx',
  'null',
  'zero',
  'full',
  'random',
  'urandom',
  'tty',
]);

function hostDevices(): DeviceNode[] {
  return listDevices('/dev', name => !OWN.has(name)).flatMap(path => deviceNode(path, path) ?? []);
}

function listDevices(directory: string, wanted: (name: string) => boolean): string[] {
  return readdirSync(directory, {withFileTypes: true}).flatMap(entry => {
    const path = join(directory, entry.name);
    if (!wanted(entry.name) || entry.isSymbolicLink()) return [];
    return entry.isDirectory() ? listDevices(path, () => true) : [path];
  });
}

function deviceRules(
  {devices, deviceRules: rules = []}: ContainerConfig,
  nodes: readonly DeviceNode[],
): readonly DeviceRule[] {
  if (nodes.length === 0 && rules.length === 0) return DEFAULT_DEVICE_RULES;
  const accessOf = (path: string) =>
    devices.find(({target}) => path === target || path.startsWith(`${target}/`))?.access ?? 'rwm';
  const asked = nodes.map(({path, type, major, minor}) => ({
    allow: true,
    type,
    major,
    minor,
    access: accessOf(path),
  }));
  return [...DEFAULT_DEVICE_RULES, ...asked, ...rules.map(parseDeviceRule)];
}

function statOf(path: string) {
  return statSync(path, {throwIfNoEntry: false});
}
