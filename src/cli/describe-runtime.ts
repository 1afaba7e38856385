import {readFile} from 'node:fs/promises';
import {arch, availableParallelism, hostname, release, totalmem} from 'node:os';
import {Image, type Runtime} from '../sdk/index.js';
import type {RuntimeInfo} from './sdk.js';
import {packageVersion} from './version.js';

/** What `info` tells: the store, what is in it, and the host below. */
export async function describeRuntime(runtime: Runtime): Promise<RuntimeInfo> {
  const {cgroups} = runtime.facts;
  const states = runtime.listContainers().map(config => runtime.stateOf(config).status);
  const running = states.filter(status => status === 'running').length;
  const controllers = cgroups.capabilities().filter(({available}) => available);
  return {
    version: await packageVersion(),
    root: runtime.store.root,
    runDirectory: runtime.store.run,
    containers: {total: states.length, running, stopped: states.length - running},
    images: (await Image.list({runtime})).length,
    cgroupLayout: cgroups.layout,
    cgroupControllers: controllers.map(({controller}) => controller),
    kernel: release(),
    operatingSystem: await prettyName(),
    architecture: arch() === 'x64' ? 'x86_64' : 'aarch64',
    cpus: availableParallelism(),
    memoryBytes: totalmem(),
    hostname: hostname(),
    rootless: !runtime.facts.isRoot,
  };
}

/** os-release(5). */
async function prettyName(): Promise<string> {
  const text = await readFile('/etc/os-release', 'utf8').catch(() => '');
  return /^PRETTY_NAME="?(.*?)"?$/m.exec(text)?.[1] ?? 'Linux';
}
