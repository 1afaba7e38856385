/** Images that come with Coracle: made on first use, with no registry and no network. */
import {readFileSync, statSync} from 'node:fs';
import {coreFile} from '../binding/index.js';
import {familiarString, parseReference, withDefaultTag} from '../oci/index.js';
import type {ImageShelves} from './add-image.js';
import type {StoredImage} from './images.js';
import {importImage} from './import-image.js';
import {TAR_END, tarHeader, tarPadding} from './write-tar.js';

/**
 * `hello-world`, unless the user has an image of that name of their own. Made again when the program changed.
 * @returns undefined when no image of this name comes with Coracle
 */
export async function ensureBuiltInImage(
  shelves: ImageShelves,
  name: string,
): Promise<StoredImage | undefined> {
  const reference = withDefaultTag(parseReference(name));
  if (familiarString(reference) !== 'hello-world:latest') return undefined;
  const program = coreFile('hello');
  const {mtimeMs, size} = statSync(program);
  const origin = `${Math.trunc(mtimeMs)}-${size}`;
  const existing = shelves.images.find('hello-world:latest');
  const madeFrom = existing?.config.Labels?.[ORIGIN_LABEL];
  if (existing !== undefined && (madeFrom === undefined || madeFrom === origin)) return existing;
  return importImage(shelves, packProgram(readFileSync(program)), {
    reference,
    config: {Cmd: ['/hello'], Labels: {[ORIGIN_LABEL]: origin}},
    message: 'Comes with Coracle',
  });
}

async function* packProgram(program: Buffer): AsyncGenerator<Buffer> {
  yield tarHeader({type: 'file', path: 'hello', mode: 0o755, size: program.length});
  yield Buffer.concat([program, tarPadding(program.length), TAR_END]);
}

/** Which file the image was made from: its time and size. */
const ORIGIN_LABEL = 'coracle.built-in';
