import {readFileSync} from 'node:fs';
import type {ObjectKind} from '../inspect/index.js';
import {goJson} from './go-json.js';
import type {Sdk} from './sdk.js';
import {standardStream} from './standard-streams.js';
import {main as inspect} from './ts-inspect.js';

export {isEverythingWritten} from './standard-streams.js';

/** The `ts-inspect` command. Sets the exit code. */
export async function main(): Promise<void> {
  let opened: Promise<Sdk> | undefined;
  process.exitCode = await inspect(process.argv.slice(2), {
    stdout: text => standardStream('stdout').write(text),
    stderr: text => standardStream('stderr').write(text),
    readText: async path => readFileSync(path === '-' ? 0 : path, 'utf8'), // its promise takes Node 2 ms to load
    resolve: async (kind, name, options) => {
      // The store and the native core are read for objects of this host alone: --input works without them, anywhere.
      opened ??= import('./open-sdk.js').then(({openSdk}) => openSdk({}));
      return documentOf(await opened, kind, name, options);
    },
    get version() {
      return import('./open-sdk.js').then(({VERSION}) => VERSION);
    },
  });
  await opened?.then(sdk => sdk.close());
}

async function documentOf(
  sdk: Sdk,
  kind: ObjectKind,
  name: string,
  options: {readonly size: boolean},
): Promise<string | undefined> {
  try {
    if (kind === 'container') return goJson(await sdk.inspect(name, options));
    if (kind === 'image') return goJson(await sdk.inspectImage(name));
    if (kind === 'volume') return goJson(await sdk.inspectVolume(name));
    return undefined; // there are no networks to ask for yet
  } catch (error) {
    // Every name may be a container's; not every one is a reference of an image.
    const {code} = error as {code?: unknown};
    if (code === ABSENT[kind] || code === 'ERR_INVALID_REFERENCE') return undefined;
    throw error;
  }
}

const ABSENT: Partial<Record<ObjectKind, string>> = {
  container: 'ERR_CONTAINER_NOT_FOUND',
  image: 'ERR_IMAGE_NOT_FOUND',
  volume: 'ERR_VOLUME_NOT_FOUND',
};
