import type {DeviceRate, Limits} from '../cgroup/index.js';
import type {ConfiguredMount, ConfiguredVolume, ContainerConfig} from './container-config.js';
import type {ContainerState} from './container-state.js';
import {dockerExitCode, isUp} from './container-state.js';
import {MASKED_PATHS, READONLY_PATHS} from './docker-defaults.js';
import {orNull, sortedRecord} from './go-values.js';
import type {Health} from './health-state.js';
import {bindingsOf, type NetworkFacts, networkSettings, type PortBinding} from './inspect-networks.js';

/** What `inspect` tells besides the container's record and state. Paths are the host's. */
export interface InspectFacts extends NetworkFacts {
  /** The container's directory, or '' when its files are in no directory of its own. */
  readonly directory: string;
  /** Lowest layer last, as overlay wants them; none for a container whose layers are gone. */
  readonly layers: readonly string[];
  /** Its root file system is a copy of the image, not an overlay. */
  readonly copied?: boolean;
  readonly upperDirectory: string;
  readonly workDirectory: string;
  readonly mergedDirectory: string;
  /** Where the data of a named volume is. */
  readonly volumeMountpoint: (name: string) => string;
  /** `private` when the container sees its own cgroup as the root of the tree. */
  readonly cgroupNamespace: 'host' | 'private';
  /** Of the commands that run in it beside its own. */
  /** `/db:/web/store` each. */
  readonly links: readonly string[];
  readonly execIds: readonly string[];
  /** How often its policy has started it again since somebody did. */
  readonly restarts: number;
  /** Of one whose health is looked after. */
  readonly health?: Health;
  /** Of the log that the output goes to; '' when it goes to none, or the driver's files are its own affair. */
  readonly logPath: string;
  /** Of `--size`: bytes written by the container, and those with the image's. */
  readonly sizes?: {readonly writable: number; readonly total: number};
}

export type ContainerInspect = ReturnType<typeof inspectRecord>;

const NEVER = '0001-01-01T00:00:00Z'; // Go's zero time

/**
 * Docker's inspect document of a container: the shape and key order of the Engine API 1.41 to 1.50 with every legacy
 * field that scripts read, such as `NetworkSettings.IPAddress`. Pure.
 * @see https://docs.docker.com/reference/api/engine/version/v1.50/#tag/Container/operation/ContainerInspect
 */
export function inspectRecord(config: ContainerConfig, state: ContainerState, facts: InspectFacts) {
  const [path, ...args] = config.argv;
  const started = state.status !== 'created' && state.status !== 'removing';
  const file = (name: string) => (started && facts.directory !== '' ? `${facts.directory}/${name}` : '');
  return {
    Id: config.id,
    Created: config.created,
    Path: path,
    Args: args,
    State: inspectState(state, facts.health),
    Image: config.image.id,
    ResolvConfPath: file('resolv.conf'),
    HostnamePath: file('hostname'),
    HostsPath: file('hosts'),
    LogPath: facts.logPath,
    Name: `/${config.name}`,
    RestartCount: facts.restarts,
    Driver: facts.copied ? 'vfs' : 'overlay2',
    Platform: 'linux',
    MountLabel: '',
    ProcessLabel: '',
    AppArmorProfile: appArmorProfile(config),
    ExecIDs: orNull(facts.execIds),
    HostConfig: hostConfig(config, facts),
    GraphDriver: graphDriver(facts),
    ...(facts.sizes && {SizeRw: facts.sizes.writable, SizeRootFs: facts.sizes.total}),
    Mounts: mountPoints(config.mounts, facts),
    Config: containerConfig(config),
    NetworkSettings: networkSettings(config, state, facts),
  };
}

function inspectState(state: ContainerState, health: Health | undefined) {
  const exit = 'exit' in state ? state.exit : undefined;
  const restarting = state.status === 'restarting';
  const failure = 'failure' in state ? state.failure : undefined;
  return {
    Status: state.status,
    Running: isUp(state) || restarting,
    Paused: state.status === 'paused',
    Restarting: restarting,
    OOMKilled: exit?.cause.kind === 'memory',
    Dead: false,
    Pid: isUp(state) ? state.pid : 0,
    ExitCode: exit === undefined ? (failure?.exitCode ?? 0) : dockerExitCode(exit),
    Error: failure?.message ?? '',
    StartedAt: 'startedAt' in state ? state.startedAt : NEVER,
    FinishedAt: 'finishedAt' in state ? state.finishedAt : NEVER,
    ...(health && {
      Health: {
        Status: health.status as string,
        FailingStreak: health.failingStreak,
        Log: health.log.map(({start, end, exitCode, output}) => ({
          Start: start,
          End: end,
          ExitCode: exitCode,
          Output: output,
        })),
      },
    }),
  };
}

function hostConfig(config: ContainerConfig, facts: InspectFacts) {
  const {limits, mounts, sysctls, asWritten = {}} = config;
  const byMountFlag = mounts.filter(isOfMountFlag).map(mountFlag);
  const byTmpfsFlag = mounts.filter(mount => mount.type === 'tmpfs' && mount.writtenAs !== undefined);
  const binds = mounts.filter(mount => mount.type !== 'tmpfs' && mount.writtenAs?.includes(':'));
  return {
    Binds: orNull(binds.map(mount => mount.writtenAs!)),
    ContainerIDFile: '',
    LogConfig: {
      Type: (config.log?.driver ?? 'none') as string,
      Config: sortedRecord(Object.entries(config.log?.options ?? {})),
    },
    NetworkMode: config.network as string,
    PortBindings: portBindings(config),
    RestartPolicy: {
      Name: (config.restart?.name ?? 'no') as string,
      MaximumRetryCount: config.restart?.maximumRetries ?? 0,
    },
    AutoRemove: config.autoRemove,
    VolumeDriver: asWritten.volumeDriver ?? volumeDriver(config),
    VolumesFrom: orNull(config.volumesFrom ?? []),
    CapAdd: orNull(config.capabilities.add),
    CapDrop: orNull(config.capabilities.drop),
    CgroupnsMode: facts.cgroupNamespace,
    Dns: config.dns?.servers ?? [],
    DnsOptions: config.dns?.options ?? [],
    DnsSearch: config.dns?.search ?? [],
    ExtraHosts: config.extraHosts ?? null,
    GroupAdd: orNull(config.groups),
    IpcMode: (config.ipc ?? 'private') as string,
    Cgroup: '',
    Links: orNull(facts.links) as readonly string[] | null,
    OomScoreAdj: config.oomScoreAdj,
    PidMode: (config.pid ?? '') as string,
    Privileged: config.privileged,
    PublishAllPorts: config.publishAll ?? false,
    ReadonlyRootfs: config.readOnly,
    // What the client has taken an option out of is a list still.
    SecurityOpt: config.systemPaths ? securityOptions(config) : orNull(securityOptions(config)),
    ...(byTmpfsFlag.length > 0 && {
      Tmpfs: sortedRecord(byTmpfsFlag.map(({target, writtenAs}) => [target, writtenAs!])),
    }),
    UTSMode: (config.uts ?? '') as string,
    UsernsMode: (asWritten.userNamespace ?? '') as string,
    ShmSize: config.shmSizeBytes,
    ...(Object.keys(sysctls).length > 0 && {Sysctls: sortedRecord(Object.entries(sysctls))}),
    Runtime: 'coracle',
    ConsoleSize: [config.terminalSize?.rows ?? 0, config.terminalSize?.columns ?? 0] as const,
    Isolation: '',
    ...resources(config),
    CpuCount: 0,
    CpuPercent: 0,
    IOMaximumIOps: 0,
    IOMaximumBandwidth: 0,
    ...(byMountFlag.length > 0 && {Mounts: byMountFlag}),
    MaskedPaths: systemPaths(config, MASKED_PATHS),
    ReadonlyPaths: systemPaths(config, READONLY_PATHS),
    ...((config.init || asWritten.init === false) && {Init: config.init}),
    ...(limits.hugetlb && {Hugetlb: limits.hugetlb}),
  };
}

/** `HostConfig.PortBindings`: what was asked for. */
function portBindings({ports = []}: ContainerConfig): Readonly<Record<string, readonly PortBinding[]>> {
  return bindingsOf(
    ports.map(({containerPort, protocol, hostAddress, hostPort, hostPortEnd}) => ({
      port: `${containerPort}/${protocol}`,
      HostIp: hostAddress,
      HostPort:
        hostPort === 0 ? '' : hostPortEnd > hostPort ? `${hostPort}-${hostPortEnd}` : String(hostPort),
    })),
  );
}

function resources({limits, devices, deviceRules = [], ulimits, cgroupParent, asWritten}: ContainerConfig) {
  return {
    CpuShares: limits.cpuShares ?? 0,
    Memory: limits.memoryBytes ?? 0,
    NanoCpus: Math.round((limits.cpus ?? 0) * 1e9),
    CgroupParent: asWritten?.cgroupParent ?? cgroupParent ?? '',
    BlkioWeight: limits.blkioWeight ?? 0,
    BlkioWeightDevice: (limits.blkioWeightDevice ?? []).map(({path, weight}) => ({
      Path: path,
      Weight: weight,
    })),
    BlkioDeviceReadBps: throttle(limits.deviceReadBps),
    BlkioDeviceWriteBps: throttle(limits.deviceWriteBps),
    BlkioDeviceReadIOps: throttle(limits.deviceReadIops),
    BlkioDeviceWriteIOps: throttle(limits.deviceWriteIops),
    CpuPeriod: limits.cpuPeriodUs ?? 0,
    CpuQuota: limits.cpuQuotaUs ?? 0,
    CpuRealtimePeriod: 0,
    CpuRealtimeRuntime: 0,
    CpusetCpus: limits.cpusetCpus ?? '',
    CpusetMems: limits.cpusetMems ?? '',
    Devices: devices.map(({source, target, access}) => ({
      PathOnHost: source,
      PathInContainer: target,
      CgroupPermissions: access,
    })),
    DeviceCgroupRules: orNull(deviceRules),
    DeviceRequests: null as readonly unknown[] | null,
    KernelMemory: 0,
    KernelMemoryTCP: 0,
    MemoryReservation: limits.memoryReservationBytes ?? 0,
    MemorySwap: memorySwap(limits),
    MemorySwappiness: limits.memorySwappiness ?? null,
    OomKillDisable: limits.oomKillDisable ?? false,
    PidsLimit: limits.processes ?? null,
    Ulimits: Object.entries(ulimits).map(([name, {soft, hard}]) => ({Name: name, Hard: hard, Soft: soft})),
  };
}

/** dockerd writes down what it will use: twice the memory when only that was said. */
function memorySwap({memoryBytes = 0, memorySwapBytes = 0}: Limits): number {
  return memorySwapBytes === 0 ? memoryBytes * 2 : memorySwapBytes;
}

function throttle(rates: readonly DeviceRate[] = []) {
  return rates.map(({path, rate}) => ({Path: path, Rate: rate}));
}

function securityOptions({
  noNewPrivileges,
  seccomp,
  privileged,
  pid,
  ipc,
  asWritten,
}: ContainerConfig): readonly string[] {
  const profile = typeof seccomp === 'object' ? `seccomp=${JSON.stringify(seccomp)}` : undefined;
  const said = asWritten?.securityOptions?.map(option =>
    option === 'seccomp' && profile !== undefined ? profile : option,
  );
  const options = said ?? [
    ...(noNewPrivileges ? ['no-new-privileges'] : []),
    ...(profile !== undefined ? [profile] : []),
    ...(seccomp === 'unconfined' && !privileged ? ['seccomp=unconfined'] : []),
  ];
  // SELinux labels are never ours; dockerd says so for what shares the host's processes, and tools look for it.
  const shares = privileged || pid === 'host' || ipc === 'host';
  return shares && !options.some(option => option.startsWith('label='))
    ? [...options, 'label=disable']
    : options;
}

function systemPaths({privileged, systemPaths}: ContainerConfig, paths: readonly string[]) {
  if (systemPaths === 'unconfined') return [];
  return privileged ? null : paths;
}

/** There is none here; what was written is told, as Docker does where the kernel has no AppArmor. */
function appArmorProfile({asWritten}: ContainerConfig): string {
  const profiles = asWritten?.securityOptions?.flatMap(
    option => /^apparmor[=:](.*)$/s.exec(option)?.[1] ?? [],
  );
  return profiles?.at(-1) ?? '';
}

/** What `-v` and `--tmpfs` wrote stands elsewhere, what is another container's nowhere. */
function isOfMountFlag(mount: ConfiguredMount): boolean {
  return mount.writtenAs === undefined && !('inherited' in mount);
}

/** `--volume-driver` is for the volumes of `-v`. */
function volumeDriver({mounts}: ContainerConfig): string {
  const written = mounts.find(
    mount => mount.type === 'volume' && mount.writtenAs !== undefined && mount.driver !== undefined,
  );
  return (written as ConfiguredVolume | undefined)?.driver ?? '';
}

/** `VolumeOptions`: the client sends all of it as soon as anything is said. */
function volumeOptions({nocopy, subpath, driver, driverOptions, labels}: ConfiguredVolume) {
  if (![nocopy, subpath, driver, driverOptions, labels].some(said => said)) return {};
  return {
    VolumeOptions: {
      ...(nocopy && {NoCopy: true}),
      ...(labels && {Labels: sortedRecord(Object.entries(labels))}),
      ...(subpath && {Subpath: subpath}),
      DriverConfig: {
        ...(driver && {Name: driver}),
        ...(driverOptions && {Options: sortedRecord(Object.entries(driverOptions))}),
      },
    },
  };
}

/** `HostConfig.Mounts`: what `--mount` said. */
function mountFlag(mount: ConfiguredMount) {
  const common = {Target: mount.target, ...(mount.readOnly && {ReadOnly: true})};
  switch (mount.type) {
    case 'bind': {
      const {propagation, nonRecursive, writableBelow} = mount;
      const options = {
        ...(propagation && {Propagation: propagation}),
        ...(nonRecursive && {NonRecursive: true}),
        ...(writableBelow && {ReadOnlyNonRecursive: true}),
      };
      return {
        Type: 'bind',
        Source: mount.source,
        ...common,
        ...(Object.keys(options).length > 0 && {BindOptions: options}),
      };
    }
    case 'volume':
      return {
        Type: 'volume',
        ...(mount.anonymous ? {} : {Source: mount.name}),
        ...common,
        ...volumeOptions(mount),
      };
    case 'tmpfs':
      return {
        Type: 'tmpfs',
        ...common,
        ...((mount.sizeBytes !== undefined || mount.mode !== undefined) && {
          TmpfsOptions: {
            ...(mount.sizeBytes !== undefined && {SizeBytes: mount.sizeBytes}),
            ...(mount.mode !== undefined && {Mode: mount.mode}),
          },
        }),
      };
    default:
      return mount satisfies never;
  }
}

/** `Mounts`: what is there, in the order of the targets. `--tmpfs` is left out, as in Docker. */
function mountPoints(mounts: readonly ConfiguredMount[], facts: InspectFacts) {
  return mounts
    .filter(mount => mount.type !== 'tmpfs' || mount.writtenAs === undefined)
    .toSorted((a, b) => (a.target < b.target ? -1 : 1))
    .map(mount => mountPoint(mount, facts));
}

function mountPoint(mount: ConfiguredMount, {volumeMountpoint}: InspectFacts) {
  const written = mount.writtenAs?.split(':')[2];
  const common = {Destination: mount.target, RW: !mount.readOnly};
  switch (mount.type) {
    case 'bind':
      return {
        Type: 'bind',
        Source: mount.source,
        Destination: common.Destination,
        Mode: written ?? '',
        RW: common.RW,
        Propagation: mount.propagation ?? 'rprivate',
      };
    case 'volume':
      return {
        Type: 'volume',
        Name: mount.name,
        Source: volumeMountpoint(mount.name),
        Destination: common.Destination,
        Driver: 'local',
        Mode: mount.inherited ? '' : (written ?? (isAnonymousFlag(mount) ? '' : 'z')),
        RW: common.RW,
        Propagation: '',
      };
    case 'tmpfs':
      return {
        Type: 'tmpfs',
        Source: '',
        Destination: common.Destination,
        Mode: '',
        RW: common.RW,
        Propagation: '',
      };
    default:
      return mount satisfies never;
  }
}

/** All others are relabelled ("z") where SELinux is; Docker says so everywhere. */
function isAnonymousFlag({anonymous, writtenAs}: ConfiguredVolume): boolean {
  return anonymous && writtenAs !== undefined;
}

function containerConfig(config: ContainerConfig) {
  const opened = config.stdin !== 'ignore';
  const attached = (stream: 'stdin' | 'stdout' | 'stderr') =>
    config.attach?.includes(stream) ?? config[stream] !== 'ignore';
  // Anonymous volumes of `-v /data`, and the image's, mounted or not; those of --mount stand in HostConfig.Mounts alone.
  const written = config.mounts.filter(
    mount => mount.type === 'volume' && mount.anonymous && mount.writtenAs,
  );
  const volumes = new Set([...config.imageVolumes, ...written.map(({target}) => target)]);
  return {
    Hostname: config.hostname,
    Domainname: config.domainname,
    User: config.user,
    AttachStdin: attached('stdin'),
    AttachStdout: attached('stdout'),
    AttachStderr: attached('stderr'),
    ...(config.exposedPorts.length > 0 && {
      ExposedPorts: sortedRecord(config.exposedPorts.map(port => [port, {}])),
    }),
    Tty: config.tty ?? false,
    OpenStdin: opened,
    StdinOnce: opened && attached('stdin'),
    Env: orNull(config.env),
    Cmd: config.command,
    ...(config.healthcheck && {Healthcheck: config.healthcheck}),
    Image: config.image.reference,
    Volumes: volumes.size > 0 ? sortedRecord([...volumes].map(target => [target, {}])) : null,
    WorkingDir: config.workdir,
    Entrypoint: config.entrypoint,
    OnBuild: null as readonly string[] | null,
    Labels: sortedRecord(Object.entries(config.labels)),
    ...(config.stopSignal !== null && {StopSignal: config.stopSignal}),
    ...(config.stopTimeoutMs !== null && {
      StopTimeout: config.stopTimeoutMs < 0 ? -1 : Math.ceil(config.stopTimeoutMs / 1000),
    }),
    ...(config.shell !== null && {Shell: config.shell}),
  };
}

function graphDriver(facts: InspectFacts) {
  if (facts.copied) return {Data: null, Name: 'vfs'};
  return {
    Data: {
      LowerDir: facts.layers.join(':'),
      MergedDir: facts.mergedDirectory,
      UpperDir: facts.upperDirectory,
      WorkDir: facts.workDirectory,
    },
    Name: 'overlay2',
  };
}
