/** `RUN --mount`: where the mounts come from on the host, and what has to go when the command is done. */
import {readFile} from 'node:fs/promises';
import {posix} from 'node:path';
import {CoracleError} from '../errors.js';
import type {Mount} from '../sdk/index.js';
import {
  type BuildWork,
  type ContextTree,
  digestTree,
  LayerDraft,
  type MountStubs,
  mountStubs,
} from '../store/index.js';
import {sourceError} from './build-error.js';
import type {BuildSecret} from './build-options.js';
import {asLatin1, isDirectory} from './find-sources.js';
import type {MountOf, RunMount} from './run-mounts.js';

export interface PreparedMounts extends AsyncDisposable {
  readonly mounts: readonly Mount[];
  /** Secrets as variables. */
  readonly env: readonly string[];
  /** What decides what the command does: never a secret, nor what a cache has. */
  readonly facts: readonly unknown[];
  /** Looks which places are missing in the layers: mounting makes them. */
  stubs(layers: readonly string[]): MountStubs;
}

export interface MountSources {
  readonly work: BuildWork;
  /** A stage, an image, or the context. */
  readonly tree: (from: string | undefined) => Promise<{readonly tree: ContextTree; readonly key: unknown}>;
  readonly secrets: Readonly<Record<string, BuildSecret>>;
  readonly signal: AbortSignal;
  /** Files for the command alone. */
  readonly scripts?: {readonly directory: string; readonly name: string; readonly text: string};
}

/** What of the mounts can be known without making anything. */
export async function mountFacts(
  mounts: readonly RunMount[],
  {tree, signal}: Pick<MountSources, 'tree' | 'signal'>,
): Promise<readonly unknown[]> {
  const facts: unknown[] = [];
  for (const mount of mounts) {
    if (mount.type !== 'bind') {
      facts.push(mount);
      continue;
    }
    const {tree: from} = await tree(mount.from);
    const found = findMounted(from, mount);
    facts.push([mount, await digestTree(from, found, {signal, owners: mount.from !== undefined})]);
  }
  return facts;
}

/** @throws `ERR_BUILD_SOURCE`, `ERR_BUILD_SECRET` */
export async function prepareMounts(
  mounts: readonly RunMount[],
  facts: readonly unknown[],
  sources: MountSources,
): Promise<PreparedMounts> {
  const made: Mount[] = [];
  const env: string[] = [];
  const undo: (() => void | Promise<void>)[] = [];
  const dispose = async () => {
    for (const each of undo.reverse()) await each();
  };
  try {
    for (const mount of mounts) {
      switch (mount.type) {
        case 'bind':
          made.push(await bindMount(mount, sources));
          break;
        case 'cache': {
          const cache = await cacheMount(mount, sources);
          undo.push(() => cache[Symbol.dispose]());
          made.push({type: 'bind', source: cache.path, target: mount.target, readOnly: mount.readOnly});
          break;
        }
        case 'tmpfs': {
          const {target, sizeBytes} = mount;
          made.push({type: 'tmpfs', target, exec: true, ...(sizeBytes !== undefined && {sizeBytes})});
          break;
        }
        case 'secret': {
          const content = await readSecret(mount, sources.secrets);
          if (content === undefined) break;
          if (mount.env !== undefined) env.push(`${mount.env}=${content.toString()}`);
          if (mount.target === undefined) break;
          const file = sources.work.secretFile(content, mount);
          undo.push(() => file[Symbol.dispose]());
          made.push({type: 'bind', source: file.path, target: mount.target, readOnly: true});
          break;
        }
        default:
          mount satisfies never;
      }
    }
    if (sources.scripts !== undefined) made.push(scriptMount(sources.work, sources.scripts));
  } catch (error) {
    await dispose();
    throw error;
  }
  const targets = made.map(({target}) => target);
  return {
    mounts: made,
    env,
    facts,
    stubs: layers => mountStubs(targets, layers),
    [Symbol.asyncDispose]: dispose,
  };
}

function findMounted(
  tree: ContextTree,
  {source, from}: {readonly source: string; readonly from: string | undefined},
) {
  const path = posix.normalize(posix.join('/', source)).slice(1).replace(/\/+$/, '');
  const found = tree.resolve(asLatin1(path));
  if (found !== undefined) return found;
  const where = from === undefined ? 'the build context' : from;
  throw sourceError(`RUN failed: ${JSON.stringify(source || '/')} is not in ${where}`, {path: source});
}

/** A copy: what is left out of the context is not in it, and what is written into it is forgotten. */
async function bindMount(mount: MountOf<'bind'>, sources: MountSources): Promise<Mount> {
  const {work, signal} = sources;
  const {tree} = await sources.tree(mount.from);
  const found = findMounted(tree, mount);
  using draft = new LayerDraft(work.newPath(), []);
  const name = isDirectory(found) ? '' : 'file';
  const isContext = mount.from === undefined;
  const owner = isContext ? {uid: 0, gid: 0} : undefined;
  await draft.copy(tree, found, name, {owner, parents: {uid: 0, gid: 0}, attributes: !isContext, signal});
  const source = name === '' ? `${draft.path}/fs` : `${draft.path}/fs/${name}`;
  return {type: 'bind', source, target: mount.target, readOnly: mount.readOnly};
}

async function cacheMount(mount: MountOf<'cache'>, sources: MountSources) {
  const {work, signal} = sources;
  const {id, sharing, mode, uid, gid} = mount;
  return work.cacheDirectory({id, sharing, mode, uid, gid, signal}, async directory => {
    if (mount.from === undefined) return;
    const {tree} = await sources.tree(mount.from);
    using draft = new LayerDraft(directory, []);
    await draft.copy(tree, findMounted(tree, mount), '', {signal});
  });
}

async function readSecret(
  {id, required}: MountOf<'secret'>,
  secrets: Readonly<Record<string, BuildSecret>>,
): Promise<Buffer | undefined> {
  const secret = Object.hasOwn(secrets, id) ? secrets[id] : undefined;
  if (secret === undefined) {
    if (!required) return undefined;
    throw new CoracleError('ERR_BUILD_SECRET', `secret ${id}: not found`, {
      hint: `Give it: --secret id=${id},src=FILE`,
      details: {secret: id},
    });
  }
  if ('value' in secret) return Buffer.from(secret.value as string);
  try {
    return await readFile(secret.path);
  } catch (cause) {
    throw new CoracleError('ERR_BUILD_SECRET', `secret ${id}: ${(cause as Error).message}`, {
      cause,
      details: {secret: id},
    });
  }
}

function scriptMount(work: BuildWork, {directory, name, text}: NonNullable<MountSources['scripts']>): Mount {
  using draft = new LayerDraft(work.newPath(), []);
  draft.writeFile(asLatin1(name), Buffer.from(text), {mode: 0o755});
  return {type: 'bind', source: `${draft.path}/fs`, target: directory, readOnly: true};
}
