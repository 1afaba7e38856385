import type {Call, Command, Context} from './command.js';
import {goJson} from './go-json.js';
import {printFacts} from './print-facts.js';
import type {Sdk} from './sdk.js';

export const command: Command = {
  name: 'info',
  usage: '[OPTIONS]',
  summary: 'Display system-wide information',
  flags: [
    {
      name: 'format',
      short: 'f',
      type: 'string',
      summary: "Format output: 'json' as docker prints it, or a Go template",
    },
    {name: 'json', summary: 'All that Coracle knows about itself, as JSON on one line'},
  ],
  least: 0,
  most: 0,
  examples: ['coracle info', 'coracle info --json', "coracle info --format '{{.NCPU}}'"],
  run,
};

const GIB = 1024 ** 3;

async function run(call: Call, {sdk, stdout}: Context): Promise<number> {
  const info = await (await sdk()).info();
  const format = call.value('format') ?? '';
  if (call.has('json')) {
    stdout.write(`${goJson(info)}\n`);
    return 0;
  }
  if (format !== '') {
    await printFacts('info', dockerInfo(info), format, stdout);
    return 0;
  }
  const {containers, memoryBytes} = info;
  const lines: readonly (readonly [string, string | number | boolean])[] = [
    ['Containers', containers.total],
    [' Running', containers.running],
    [' Paused', containers.paused],
    [' Stopped', containers.stopped],
    ['Images', info.images],
    ['Coracle Version', info.version],
    ['Storage Driver', info.storageDriver],
    ['Cgroup Layout', info.cgroupLayout],
    ['Cgroup Controllers', info.cgroupControllers.join(' ') || 'none'],
    ['Kernel Version', info.kernel],
    ['Operating System', info.operatingSystem],
    ['Architecture', info.architecture],
    ['CPUs', info.cpus],
    ['Total Memory', `${Number((memoryBytes / GIB).toPrecision(4))}GiB`],
    ['Name', info.hostname],
    ['Root Dir', info.root],
    ['Run Dir', info.runDirectory],
    ['Rootless', info.rootless],
  ];
  for (const [name, value] of lines) stdout.write(`${name}: ${value}\n`);
  return 0;
}

/** Docker's document: what its engine would say of this runtime, and its client of itself. */
function dockerInfo(info: Awaited<ReturnType<Sdk['info']>>): object {
  const {containers} = info;
  const version = info.version;
  const arch = info.architecture === 'x86_64' ? 'amd64' : 'arm64';
  return {
    ID: '',
    Containers: containers.total,
    ContainersRunning: containers.running,
    ContainersPaused: 0,
    ContainersStopped: containers.stopped,
    Images: info.images,
    Driver: info.storageDriver,
    MemoryLimit: info.cgroupControllers.includes('memory'),
    PidsLimit: info.cgroupControllers.includes('pids'),
    CpuCfsPeriod: info.cgroupControllers.includes('cpu'),
    CpuCfsQuota: info.cgroupControllers.includes('cpu'),
    CPUShares: info.cgroupControllers.includes('cpu'),
    CPUSet: info.cgroupControllers.includes('cpuset'),
    CgroupDriver: info.cgroupLayout === 'none' ? 'none' : 'cgroupfs',
    CgroupVersion: info.cgroupLayout === 'v2' ? '2' : '1',
    KernelVersion: info.kernel,
    OperatingSystem: info.operatingSystem,
    OSType: 'linux',
    Architecture: info.architecture,
    NCPU: info.cpus,
    MemTotal: info.memoryBytes,
    DockerRootDir: info.root,
    Name: info.hostname,
    ServerVersion: version,
    SecurityOptions: ['name=seccomp,profile=builtin', ...(info.rootless ? ['name=rootless'] : [])],
    ClientInfo: {Debug: false, Version: version, Os: 'linux', Arch: arch, Context: 'default', Plugins: []},
  };
}
