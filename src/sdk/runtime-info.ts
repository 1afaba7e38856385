import {readFileSync} from 'node:fs';
import {arch, cpus, release, totalmem} from 'node:os';
import {coreFile} from '../binding/index.js';
import {isUp} from './container-state.js';
import type {Runtime} from './runtime.js';
import {VERSION} from './version.js';

/** What a service needs that starts again at once what lost its monitor: what it watches, and by which program. */
export function watching({store}: Runtime) {
  return {root: store.root, file: store.alive, program: coreFile('coracle-watch')};
}

/** What `info` tells of a runtime and its host. */
export function runtimeInfo(runtime: Runtime) {
  const containers = runtime.listContainers();
  const states = containers.map(config => runtime.stateOf(config));
  const running = states.filter(isUp).length;
  const paused = states.filter(({status}) => status === 'paused').length;
  const {cgroups, hostname, isRoot} = runtime.facts;
  return {
    version: VERSION,
    root: runtime.store.root,
    runDirectory: runtime.store.run,
    containers: {
      total: containers.length,
      running: running - paused,
      paused,
      stopped: containers.length - running,
    },
    images: runtime.store.listImages().length,
    storageDriver: runtime.store.storageDriver === 'vfs' ? 'vfs' : 'overlay2',
    cgroupLayout: cgroups.layout,
    cgroupControllers: cgroups
      .capabilities()
      .filter(({available}) => available)
      .map(({controller}) => controller),
    kernel: release(),
    operatingSystem: operatingSystem(),
    architecture: arch() === 'x64' ? 'x86_64' : 'aarch64',
    cpus: cpus().length,
    memoryBytes: totalmem(),
    hostname,
    rootless: !isRoot,
  };
}

/** os-release(5). */
function operatingSystem(): string {
  try {
    return /^PRETTY_NAME="?([^"\n]*)"?$/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? 'Linux';
  } catch {
    return 'Linux';
  }
}
