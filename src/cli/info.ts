import type {Call, Command, Context} from './command.js';
import {goJson} from './go-json.js';

export const command: Command = {
  name: 'info',
  usage: '[OPTIONS]',
  summary: 'Display system-wide information',
  flags: [
    {name: 'format', short: 'f', type: 'string', summary: "Format output: 'json', one line"},
    {name: 'json', summary: 'The same as --format json'},
  ],
  least: 0,
  most: 0,
  examples: ['coracle info', 'coracle info --json'],
  run,
};

const GIB = 1024 ** 3;

async function run(call: Call, {sdk, stdout}: Context): Promise<number> {
  const info = await (await sdk()).info();
  if (call.has('json') || call.value('format') === 'json') {
    stdout.write(`${goJson(info)}\n`);
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
    ['Storage Driver', 'overlay2'],
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
