/** The files that a build copies from, and its Dockerfile. */
import {existsSync, type Stats, statSync} from 'node:fs';
import {readFile} from 'node:fs/promises';
import {basename, dirname, isAbsolute, join, resolve} from 'node:path';
import {DOCKERFILE_BYTES} from '../sdk/index.js';
import {type BuildWork, ContextTree, contentOf, decompressedStart, unpackArchive} from '../store/index.js';
import {contextError, unsupported} from './build-error.js';
import type {BuildContext, BuildOptions} from './build-options.js';
import {ignoreRules, type RuleMatches} from './path-patterns.js';
import {download, httpUrl, isGitUrl} from './source-urls.js';

export interface OpenContext extends Disposable {
  readonly tree: ContextTree;
  /** Of the host's; a mount of it needs one. */
  readonly directory: string;
  readonly dockerfile: {
    /** As messages call it. */
    readonly name: string;
    readonly source: Uint8Array | string;
  };
}

/**
 * @throws `ERR_BUILD_CONTEXT`, `ERR_DOWNLOAD_FAILED`, `ERR_INVALID_OPTION` for a `.dockerignore` that is none,
 * `ERR_UNSUPPORTED_OPTION` for a Git repository
 */
export async function openContext(
  context: BuildContext,
  {dockerfile, signal}: Pick<BuildOptions, 'dockerfile' | 'signal'>,
  work: BuildWork,
): Promise<OpenContext> {
  if (context === null) return fromNothing(work, dockerfile);
  if (typeof context === 'string' || context instanceof URL) {
    const url = httpUrl(String(context));
    if (isGitUrl(String(context))) {
      throw unsupported(
        'a Git repository as the context of a build is not supported',
        'Clone it, and build from the directory: git clone URL.',
      );
    }
    if (url !== undefined) return fromStream((await download(url, signal)).bytes, dockerfile, work, signal);
    if (context instanceof URL && context.protocol !== 'file:')
      throw contextError(`unable to prepare context: ${context.protocol} URLs are not supported`);
    const path = context instanceof URL ? decodeURIComponent(context.pathname) : context;
    return fromDirectory(path, dockerfile);
  }
  return fromStream(context, dockerfile, work, signal);
}

async function fromNothing(work: BuildWork, dockerfile: BuildOptions['dockerfile']): Promise<OpenContext> {
  if (dockerfile === undefined || (typeof dockerfile === 'string' && !isAbsolute(dockerfile)))
    throw contextError('a build without a context needs the text of a Dockerfile, or its absolute path');
  return opened(emptyDirectory(work), await readGiven(dockerfile, '/'), '');
}

async function fromDirectory(path: string, dockerfile: BuildOptions['dockerfile']): Promise<OpenContext> {
  const directory = resolve(path);
  const status = statIfThere(directory);
  if (status === undefined)
    throw contextError(`unable to prepare context: path ${JSON.stringify(path)} not found`);
  if (!status.isDirectory())
    throw contextError(`unable to prepare context: context must be a directory: ${path}`);
  const given = await readGiven(dockerfile ?? defaultName(directory), directory);
  const beside = given.path === undefined ? undefined : `${given.path}.dockerignore`;
  const rules =
    (beside && (await readIfThere(beside))) ?? (await readIfThere(join(directory, '.dockerignore')));
  return opened(directory, given, rules ?? '');
}

/** As the docker client has it. */
function defaultName(directory: string): string {
  const isLower = !existsSync(join(directory, 'Dockerfile')) && existsSync(join(directory, 'dockerfile'));
  return isLower ? 'dockerfile' : 'Dockerfile';
}

/** An archive, or a Dockerfile alone: the first bytes tell. */
async function fromStream(
  source: AsyncIterable<Uint8Array>,
  dockerfile: BuildOptions['dockerfile'],
  work: BuildWork,
  signal: AbortSignal | undefined,
): Promise<OpenContext> {
  const {isArchive, all} = await decompressedStart(source);
  if (!isArchive) {
    const chunks: Uint8Array[] = [];
    let size = 0;
    for await (const chunk of all) {
      chunks.push(chunk);
      size += chunk.length;
      if (size > DOCKERFILE_BYTES)
        throw contextError(`the Dockerfile is larger than ${DOCKERFILE_BYTES} bytes, and no archive`);
    }
    return opened(emptyDirectory(work), {name: 'Dockerfile', source: Buffer.concat(chunks)}, '');
  }
  const directory = work.newPath();
  await unpackArchive(all, directory, {signal});
  using files = new ContextTree([directory]);
  const read = async (name: string) => {
    const found = files.resolve(Buffer.from(name).toString('latin1'));
    if (found === undefined) return undefined;
    if (found.status.size > DOCKERFILE_BYTES)
      throw contextError(`${name} is larger than ${DOCKERFILE_BYTES} bytes`);
    return textOf(contentOf(found));
  };
  const name = typeof dockerfile === 'string' ? dockerfile : 'Dockerfile';
  const source_ = typeof dockerfile === 'object' ? dockerfile.text : await read(name);
  if (source_ === undefined) throw contextError(`Cannot locate specified Dockerfile: ${name}`);
  const rules = (await read(`${name}.dockerignore`)) ?? (await read('.dockerignore')) ?? '';
  return opened(directory, {name, source: source_}, rules);
}

function emptyDirectory(work: BuildWork): string {
  return work.newDirectory();
}

async function textOf(content: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of content) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

interface Given {
  readonly name: string;
  readonly source: Uint8Array | string;
  /** Of a file of the host's. */
  readonly path?: string;
}

async function readGiven(dockerfile: string | {readonly text: string}, directory: string): Promise<Given> {
  if (typeof dockerfile === 'object') return {name: 'Dockerfile', source: dockerfile.text};
  const path = resolve(directory, dockerfile);
  const status = statIfThere(path);
  if (status === undefined) {
    throw contextError(
      `unable to prepare context: unable to evaluate symlinks in Dockerfile path: lstat ${path}: no such file or directory`,
    );
  }
  if (status.isDirectory())
    throw contextError(`unable to prepare context: the Dockerfile ${path} is a directory`);
  if (status.size > DOCKERFILE_BYTES)
    throw contextError(`unable to prepare context: the Dockerfile is larger than ${DOCKERFILE_BYTES} bytes`);
  const name = dirname(path) === directory ? basename(path) : dockerfile;
  return {name, source: await readFile(path), path};
}

/** Below a file there is nothing, either. */
function statIfThere(path: string): Stats | undefined {
  try {
    return statSync(path, {throwIfNoEntry: false});
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOTDIR') throw error;
    return undefined;
  }
}

async function readIfThere(path: string): Promise<string | undefined> {
  const status = statIfThere(path);
  if (status === undefined || !status.isFile()) return undefined;
  if (status.size > IGNORE_BYTES)
    throw contextError(`unable to prepare context: ${path} is larger than ${IGNORE_BYTES} bytes`);
  return readFile(path, 'utf8');
}

const IGNORE_BYTES = 1024 * 1024;

function opened(directory: string, dockerfile: Given, rules: string): OpenContext {
  const tree = new ContextTree([directory], contextRules(rules));
  return {tree, directory, dockerfile, [Symbol.dispose]: () => tree[Symbol.dispose]()};
}

/** What was said of directories is remembered for what is in them. */
function contextRules(text: string) {
  const {match, hasExceptions} = ignoreRules(text);
  const known = new Map<string, RuleMatches>();
  const of = (path: string): RuleMatches => {
    const slash = path.lastIndexOf('/');
    const parent = slash === -1 ? undefined : (known.get(path.slice(0, slash)) ?? of(path.slice(0, slash)));
    if (slash !== -1) known.set(path.slice(0, slash), parent!);
    return match(Buffer.from(path, 'latin1').toString(), parent);
  };
  return {leavesOut: (path: string) => of(path).excluded, hasExceptions};
}
