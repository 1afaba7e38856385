/** COPY and ADD: what is to be copied and what that is as a digest, and then the copying. */
import {createHash} from 'node:crypto';
import {writeFile} from 'node:fs/promises';
import {posix} from 'node:path';
import {CoracleError} from '../errors.js';
import {type Digest, digestOf} from '../oci/index.js';
import type {CopySources, Of} from '../sdk/index.js';
import {
  type BuildWork,
  ContextTree,
  contentOf,
  digestTree,
  type Found,
  isArchive,
  LayerDraft,
  unpackArchive,
} from '../store/index.js';
import {sourceError, unsupported} from './build-error.js';
import {asLatin1, findSources, isDirectory, nameOf} from './find-sources.js';
import {parseChmod, parseChown} from './owners.js';
import {compileRules} from './path-patterns.js';
import {download, httpUrl, isGitUrl} from './source-urls.js';

type Copying = Of<'copy'> | Of<'add'>;

/** One thing to copy. */
interface Source {
  /** What a file is called in a directory that it is copied into: latin1. */
  readonly name: string;
  readonly digest: Digest;
  readonly kind: 'file' | 'dir';
  readonly content:
    | {readonly from: 'tree'; readonly tree: ContextTree; readonly found: Found}
    | {readonly from: 'archive'; readonly tree: ContextTree; readonly found: Found}
    | {readonly from: 'text'; readonly text: string};
  /** With `--parents`: directories of its own below the destination. */
  readonly parents?: string;
  /** Of a download. */
  readonly modified?: Date | undefined;
  readonly isDownload?: boolean;
}

export interface PreparedCopy {
  /** As the history tells of it: `COPY file:HEX in /place `. */
  readonly told: string;
  /** All that decides what it makes, beside what is below it. */
  readonly facts: readonly unknown[];
  readonly sources: readonly Source[];
  /** Absolute; a slash at its end says that it is a directory. */
  readonly destination: string;
}

export interface CopyPlace {
  readonly work: BuildWork;
  /** Where the files come from. */
  readonly tree: ContextTree;
  /** It is the build's context. */
  readonly inContext: boolean;
  readonly workdir: string;
  readonly signal: AbortSignal | undefined;
  /** Whose closing is the caller's affair, when all is copied. */
  readonly keep: <Opened extends Disposable>(opened: Opened) => Opened;
}

/** @throws `ERR_BUILD_SOURCE`, `ERR_DOWNLOAD_FAILED`, `ERR_UNSUPPORTED_OPTION` */
export async function prepareCopy(step: Copying, place: CopyPlace): Promise<PreparedCopy> {
  const keyword = step.kind.toUpperCase();
  const sources: Source[] = [];
  for (const written of step.sources) sources.push(...(await sourcesOf(step, written, keyword, place)));
  for (const {name, content} of step.inline) {
    const digest = digestOf(`${content}`);
    sources.push({name: asLatin1(name), digest, kind: 'file', content: {from: 'text', text: content}});
  }
  const destination = absolute(step.destination, place.workdir);
  if (sources.length > 1 && !destination.endsWith('/')) {
    throw sourceError(
      `When using ${keyword} with more than one source file, the destination must be a directory and end with a /`,
    );
  }
  const {chown = '', chmod = '', link, exclude} = step;
  const owner = chown === '' ? '' : `--chown=${chown} `;
  return {
    told: `${keyword} ${owner}${digestText(sources)} in ${destination} `,
    facts: [chmod, link, exclude, sources.map(({name, parents, content}) => [name, parents, content.from])],
    sources,
    destination,
  };
}

function absolute(destination: string, workdir: string): string {
  const whole = posix.resolve('/', workdir, destination);
  return destination.endsWith('/') && whole !== '/' ? `${whole}/` : whole;
}

/** As the classic builder shortens it. */
function digestText(sources: readonly Source[]): string {
  const texts = sources.map(({kind, digest}) => `${kind}:${digest.slice('sha256:'.length)}`);
  if (texts.length === 1) return texts[0]!;
  return `multi:${digestOf(texts.join(',')).slice('sha256:'.length)}`;
}

async function sourcesOf(
  step: Copying,
  written: string,
  keyword: string,
  place: CopyPlace,
): Promise<Source[]> {
  const {tree, inContext, signal} = place;
  if (step.kind === 'add') {
    const url = httpUrl(written);
    if (isGitUrl(written)) {
      throw unsupported(
        'ADD of a Git repository is not supported',
        'Clone it into the context, and COPY from there.',
      );
    }
    if (url !== undefined) return [await downloaded(step, url, place)];
  }
  const [base, below] = splitPivot(written);
  const found = findSources(tree, written, {keyword, inContext});
  const sources: Source[] = [];
  for (const source of found) {
    const view = excluding(tree, step, source.found);
    const kind = isDirectory(source.found) ? 'dir' : 'file';
    if (kind === 'file' && isExcluded(step, nameOf(source.path))) continue;
    const unpacks = step.kind === 'add' && step.unpack !== false && (await isArchive(source.found));
    sources.push({
      name: nameOf(source.path),
      digest: await digestTree(view, source.found, {signal}),
      kind,
      content: {from: unpacks ? 'archive' : 'tree', tree, found: source.found},
      ...(step.kind === 'copy' && step.parents && {parents: parentsOf(source.path, base, below, kind)}),
    });
  }
  return sources;
}

/** `a/./b/c`: with `--parents` what is before the dot is left out. */
function splitPivot(written: string): [base: string, below: string | undefined] {
  const at = written.indexOf('/./');
  return at === -1 ? ['', undefined] : [posix.normalize(written.slice(0, at)), written.slice(at + 3)];
}

function parentsOf(path: string, base: string, below: string | undefined, kind: 'file' | 'dir'): string {
  const prefix = asLatin1(base.replace(/^\/+/, ''));
  const kept = below !== undefined && path.startsWith(`${prefix}/`) ? path.slice(prefix.length + 1) : path;
  if (kind === 'dir') return kept;
  return kept.includes('/') ? kept.slice(0, kept.lastIndexOf('/')) : '';
}

function isExcluded({exclude}: CopySources, name: string): boolean {
  return exclude.length > 0 && compileRules(exclude).match(asText(name), undefined).excluded;
}

/** Without what `--exclude` names, below a source. */
function excluding(tree: ContextTree, {exclude}: CopySources, source: Found) {
  if (exclude.length === 0) return tree;
  const {match, hasExceptions} = compileRules(exclude);
  const skip = source.path === '' ? 0 : source.path.length + 1;
  const leavesOut = (path: string) => match(asText(path.slice(skip)), undefined).excluded;
  return tree.without({leavesOut, hasExceptions});
}

async function downloaded(step: Of<'add'>, url: URL, place: CopyPlace): Promise<Source> {
  const {work, signal, keep} = place;
  const name = posix.basename(decodeURIComponent(url.pathname));
  if (name === '' && step.destination.endsWith('/'))
    throw sourceError(
      `ADD failed: cannot determine filename from url: ${url.protocol}//${url.host}${url.pathname}`,
    );
  const {bytes, modified} = await download(url, signal);
  const directory = work.newDirectory();
  await writeFile(`${directory}/download`, limited(bytes), {mode: 0o600});
  const tree = keep(new ContextTree([directory]));
  const found = tree.find('download')!;
  const digest = await contentDigest(found);
  if (step.checksum !== undefined && step.checksum !== digest) {
    throw new CoracleError(
      'ERR_DIGEST_MISMATCH',
      `ADD failed: the download is ${digest}, --checksum says ${step.checksum}`,
    );
  }
  const from = step.unpack && (await isArchive(found)) ? 'archive' : 'tree';
  return {
    name: asLatin1(name),
    digest,
    kind: 'file',
    content: {from, tree, found},
    modified,
    isDownload: true,
  };
}

async function* limited(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let size = 0;
  for await (const chunk of bytes) {
    size += chunk.length;
    if (size > DOWNLOAD_BYTES)
      throw new CoracleError('ERR_LAYER_TOO_LARGE', `the download has more than ${DOWNLOAD_BYTES} bytes`);
    yield chunk;
  }
}

const DOWNLOAD_BYTES = 64 * 1024 ** 3;

async function contentDigest(found: Found): Promise<Digest> {
  const hash = createHash('sha256');
  for await (const chunk of contentOf(found)) hash.update(chunk);
  return `sha256:${hash.digest('hex')}`;
}

/** @param layers directories below, bottom first @returns a directory for `BuildWork.commit` */
export async function carryOutCopy(
  step: Copying,
  {sources, destination}: PreparedCopy,
  layers: readonly string[],
  {work, inContext, signal}: Pick<CopyPlace, 'work' | 'inContext' | 'signal'>,
): Promise<string> {
  // With --link it does not matter what is below: not even for symlinks on the way.
  using draft = new LayerDraft(work.newPath(), step.link ? [] : layers);
  using names = new ContextTree(layers);
  const {chown = '', chmod = ''} = step; // either may be a variable without a value
  const read = (path: string) => names.readText(path, ACCOUNTS_BYTES) ?? '';
  const owner = chown === '' ? ROOT : parseChown(chown, read);
  const options = {
    owner,
    // What the host lets one of its files do is not for the image to say.
    attributes: !inContext,
    ...(chmod !== '' && {mode: parseChmod(chmod)}),
    signal,
  };
  for (const source of sources) {
    const {parents, content} = source;
    const below = parents === undefined ? '' : `/${parents}`;
    const path = asLatin1(destination) + below;
    const place = draft.place(path);
    const existing = draft.resolve(path);
    if (content.from === 'archive') {
      const directory = work.newPath();
      await unpackArchive(contentOf(content.found), directory, {keepsOwners: true, signal});
      using unpacked = new ContextTree([directory]);
      const asItSays = {...options, owner: undefined, parents: ROOT, attributes: true};
      await draft.copy(unpacked, unpacked.find('')!, place, asItSays);
      continue;
    }
    if (source.kind === 'dir' && content.from === 'tree') {
      const view = excluding(content.tree, step, content.found);
      // As Docker's: it makes what is above a directory before it looks at owners.
      await draft.copy(view, content.found, place, {
        ...options,
        ...(parents === undefined && {parents: ROOT}),
      });
      continue;
    }
    const isInto = destination.endsWith('/') || parents !== undefined || (existing && isDirectory(existing));
    const to = isInto ? draft.place(`${path}/${source.name}`) : place;
    if (content.from === 'text') {
      draft.writeFile(to, Buffer.from(content.text), {mode: 0o644, ...options});
    } else if (source.isDownload) {
      const modified = BigInt(source.modified?.getTime() ?? 0) * 1_000_000n;
      await draft.copy(content.tree, dated(content.found, modified), to, {mode: 0o600, ...options});
    } else await draft.copy(content.tree, content.found, to, options);
  }
  return draft.path;
}

function dated(found: Found, mtimeNs: bigint): Found {
  return {...found, status: {...found.status, mtimeNs, atimeNs: mtimeNs}};
}

const ROOT = {uid: 0, gid: 0};
const ACCOUNTS_BYTES = 1024 * 1024;

function asText(latin1: string): string {
  return Buffer.from(latin1, 'latin1').toString();
}
