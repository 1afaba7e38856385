import {closeSync, fstatSync, openSync, readFileSync, readSync} from 'node:fs';
import type {ObjectKind} from '../inspect/index.js';
import {rawJson} from './go-json.js';
import type {Sdk} from './sdk.js';
import {main} from './ts-inspect.js';

/** `ts-inspect` on the objects of a runtime and on files. */

export interface InspectWorld {
  readonly stdout: (text: string) => void;
  readonly stderr: (text: string) => void;
  /** Opened for objects of this host alone: `--input` works without it, anywhere. */
  readonly sdk: () => Promise<Sdk>;
  /** Docker's documents of the images in an archive or an OCI image layout. */
  readonly archivedImages: (source: string | AsyncIterable<Uint8Array>) => Promise<readonly unknown[]>;
  readonly version: () => Promise<string>;
}

/** @returns the exit code */
export function inspectWithSdk(argv: readonly string[], world: InspectWorld): Promise<number> {
  return main(argv, {
    stdout: world.stdout,
    stderr: world.stderr,
    readText: async path => readFileSync(path, 'utf8'), // its promise takes Node 2 ms to load
    readInput: path => readInput(path, world),
    names: async () => namesOf(await world.sdk()),
    pause: () => new Promise(resolve => setTimeout(resolve, LOOK_AGAIN_MS, true)),
    now: () => performance.now(),
    resolve: async (kind, name, options) => documentOf(await world.sdk(), kind, name, options),
    get version() {
      return world.version();
    },
  });
}

/** Records are files in memory, and reading one takes a fraction of a millisecond. */
const LOOK_AGAIN_MS = 200;

async function namesOf(sdk: Sdk): Promise<string[]> {
  const [containers, images, volumes, networks] = await Promise.all([
    sdk.list({size: false}),
    sdk.listImages(),
    sdk.listVolumes(),
    sdk.listNetworks(),
  ]);
  return [
    ...containers.map(({name}) => name),
    ...images.flatMap(({references}) => references),
    ...volumes.map(({name}) => name),
    ...networks.map(({name}) => name),
  ];
}

/** JSON as it is; of an image archive or an OCI image layout, what inspecting its images gives. */
async function readInput(path: string, {archivedImages}: InspectWorld): Promise<string> {
  const archived = async (source: string | AsyncIterable<Uint8Array>) =>
    rawJson(await archivedImages(source));
  if (path === '-') {
    const bytes = readFileSync(0);
    return isArchive(bytes) ? archived(singleChunk(bytes)) : bytes.toString('utf8');
  }
  const beginning = Buffer.alloc(BLOCK_BYTES);
  const file = openSync(path, 'r');
  try {
    if (fstatSync(file).isDirectory()) return await archived(path);
    readSync(file, beginning, 0, BLOCK_BYTES, 0);
    return isArchive(beginning) ? await archived(path) : readFileSync(file, 'utf8');
  } finally {
    closeSync(file);
  }
}

/** Of a tar archive: what makes it one is within the first. */
const BLOCK_BYTES = 512;

/** A tar, or one compressed by gzip or zstd. */
const isArchive = (bytes: Buffer): boolean =>
  bytes.toString('latin1', 257, 262) === 'ustar' ||
  /^(?:1f8b|28b52ffd)/.test(bytes.subarray(0, 4).toString('hex'));

async function* singleChunk(bytes: Buffer): AsyncGenerator<Uint8Array> {
  yield bytes;
}

async function documentOf(
  sdk: Sdk,
  kind: ObjectKind,
  name: string,
  options: {readonly size: boolean},
): Promise<string | undefined> {
  try {
    if (kind === 'container') return rawJson(await sdk.inspect(name, options));
    if (kind === 'image') return rawJson(await sdk.inspectImage(name));
    if (kind === 'volume') return rawJson(await sdk.inspectVolume(name));
    if (kind === 'network') return rawJson(await sdk.inspectNetwork(name));
    return kind satisfies never;
  } catch (error) {
    // Every name may be a container's; not every one is a reference of an image.
    const {code} = error as {code?: unknown};
    if (code === ABSENT[kind] || code === 'ERR_INVALID_REFERENCE') return undefined;
    throw error;
  }
}

const ABSENT: Record<ObjectKind, string> = {
  container: 'ERR_CONTAINER_NOT_FOUND',
  image: 'ERR_IMAGE_NOT_FOUND',
  network: 'ERR_NETWORK_NOT_FOUND',
  volume: 'ERR_VOLUME_NOT_FOUND',
};
