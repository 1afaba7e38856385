import {mkdirSync, mkdtempSync, writeFileSync} from 'node:fs';
import {rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {dirname, join} from 'node:path';
import type {ExecutionContext} from 'ava';
import {type BuildOptions, type BuildProgress, Container, Image, type RunOptions} from '../../src/index.js';
import {type OwnRuntime, textOf} from './own-runtime.js';

export type Files = Readonly<Record<string, string | Buffer>>;

/** A context of a build: a folder with these files, gone with the test. */
export function buildFolder(t: ExecutionContext, files: Files): string {
  const folder = mkdtempSync(join(tmpdir(), 'coracle-build-'));
  t.teardown(() => rm(folder, {recursive: true, force: true}));
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(join(folder, dirname(name)), {recursive: true});
    writeFileSync(join(folder, name), content);
  }
  return folder;
}

/** Builds in a runtime, and what containers of the images say. */
export function buildsIn(own: OwnRuntime) {
  const outputOf = async (image: Image, options: RunOptions = {}): Promise<string> => {
    const container = await Container.run(image.id, options, {runtime: await own.runtime});
    const text = await textOf(container.stdout!);
    await container.settled;
    return text;
  };
  return {
    /** A folder of these files; without a network, which most of it does not need. */
    build: async (t: ExecutionContext, files: Files, options: BuildOptions = {}): Promise<Image> =>
      Image.build(buildFolder(t, files), {network: 'none', ...options}, {runtime: await own.runtime}),
    outputOf,
    /** What a shell in the image writes. */
    inside: (image: Image, script: string): Promise<string> =>
      outputOf(image, {entrypoint: ['sh', '-c', script], user: '0'}),
  };
}

/** How many steps were done before, and how many there were to do. */
export function counter() {
  const counted = {cached: 0, made: 0};
  const onProgress = ({type}: BuildProgress) => {
    if (type === 'cached') counted.cached++;
    if (type === 'made') counted.made++;
  };
  return {counted, onProgress};
}
