/** An OCI bundle with the specification that dockerd writes, as recorded from a real one, for the payload. */
import {mkdirSync, readFileSync, writeFileSync} from 'node:fs';
import {basename, join} from 'node:path';
import {MEMORY_BYTES, PROCESSES} from './isolation.js';
import type {Payload} from './payload.js';

interface RuntimeSpec {
  process: {args: string[]; cwd: string; terminal: boolean};
  root: {path: string; readonly: boolean};
  mounts: {destination: string; source: string}[];
  hooks?: unknown;
  linux: {
    cgroupsPath: string;
    namespaces: {type: string; path?: string}[];
    resources: {memory: object; pids: object; devices: object[]};
  };
}

const RECORDED = new URL('../test/fixtures/docker/containers/default/config.json', import.meta.url);

/** @param program what it runs, a name in the payload @returns the bundle's directory */
export function writeBundle(folder: string, payload: Payload, program: 'true' | 'wait' = 'true'): string {
  const bundle = join(folder, 'bundle');
  mkdirSync(bundle, {recursive: true});
  const spec = JSON.parse(readFileSync(RECORDED, 'utf8')) as RuntimeSpec;
  spec.process = {...spec.process, args: [`/${program}`], cwd: '/', terminal: false};
  spec.root = {path: payload.rootfs, readonly: false};
  // dockerd binds files of its own; these stand for them.
  for (const mount of spec.mounts) {
    if (!mount.destination.startsWith('/etc/')) continue;
    mount.source = join(bundle, mount.destination.slice('/etc/'.length));
    writeFileSync(mount.source, '127.0.0.1 localhost\n');
  }
  delete spec.hooks; // dockerd's own, for its network
  spec.linux.namespaces = spec.linux.namespaces.map(({type}) => ({type}));
  spec.linux.cgroupsPath = `/coracle-benchmark-${process.pid}-${basename(folder)}`;
  spec.linux.resources.memory = {limit: MEMORY_BYTES, swap: MEMORY_BYTES};
  spec.linux.resources.pids = {limit: PROCESSES};
  writeFileSync(join(bundle, 'config.json'), JSON.stringify(spec));
  return bundle;
}
