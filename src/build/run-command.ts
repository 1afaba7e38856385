/** RUN: what is executed, and the layer that it makes. */
import {posix} from 'node:path';
import {CoracleError} from '../errors.js';
import type {ContainerDefaults} from '../oci/index.js';
import {
  argumentsOf,
  describeExit,
  dockerExitCode,
  type Exit,
  type Mount,
  type Of,
  type RunOptions,
  type Runtime,
  runStep,
  type Step,
} from '../sdk/index.js';
import {type BuildWork, LayerDraft, type StoredImage} from '../store/index.js';
import type {BuildOptions, BuildProgress} from './build-options.js';
import type {ImageState} from './image-state.js';
import type {PreparedMounts} from './prepare-mounts.js';

/** What a RUN executes: `told` in messages and the history, `script` as a file for a heredoc that names its program. */
export interface RunWords {
  readonly words: readonly string[];
  readonly script?: {readonly name: string; readonly text: string};
}

/** Where BuildKit puts a heredoc that begins with `#!`. */
export const SCRIPTS = '/dev/pipes';

export function wordsOf({command, heredocs}: Of<'run'>, config: ContainerDefaults): RunWords {
  const [first] = heredocs;
  if (command.form === 'exec' || first === undefined) return {words: argumentsOf(command, config)};
  const shell = (text: string) => argumentsOf({form: 'shell', text}, config);
  if (!/^\d*<<-?\s*[^<\s]+$/.test(command.text.trim()) || heredocs.length > 1) {
    const texts = heredocs.map(({content, name}) => `\n${content}${name}`);
    return {words: shell(command.text + texts.join(''))};
  }
  const text = first.chomp ? first.content.replace(/^\t+/gm, '') : first.content;
  if (!text.startsWith('#!')) return {words: shell(text)};
  return {words: shell(`${SCRIPTS}/${first.name}`), script: {name: first.name, text}};
}

export interface RunRequest {
  readonly runtime: Runtime;
  readonly work: BuildWork;
  readonly step: Of<'run'> & Step;
  readonly state: ImageState;
  readonly stage: number;
  readonly words: readonly string[];
  /** Arguments of the build. */
  readonly env: readonly string[];
  readonly mounts: PreparedMounts;
  readonly options: BuildOptions;
  readonly signal: AbortSignal;
  readonly tell: (event: BuildProgress) => void;
}

/**
 * @returns a directory for `BuildWork.commit`
 * @throws `ERR_BUILD_FAILED` with Docker's words when it ends with another code than 0, and as `Container.run`
 */
export async function carryOutRun(request: RunRequest): Promise<string> {
  const {runtime, work, state, stage, words, mounts, signal, tell} = request;
  using volumes = missingVolumes(work, state);
  const image = imageOf(work, state, volumes);
  const stubs = mounts.stubs(image.layers);
  const running = await runStep(runtime, image, runOptions(request));
  const {container} = running;
  tell({type: 'running', stage, container: container.id});
  let kept = false;
  try {
    const output = (stream: 'stdout' | 'stderr') =>
      container.forward(stream, bytes => {
        tell({type: 'output', stage, stream, bytes});
        return undefined;
      });
    const [exit] = await Promise.all([container.exit, output('stdout'), output('stderr')]);
    await container.settled;
    signal.throwIfAborted();
    refuseFailure(exit, words);
    const tree = work.newDirectory();
    await running.keep(`${tree}/fs`);
    kept = true;
    tell({type: 'removed', stage, container: container.id});
    stubs.remove(`${tree}/fs`);
    return tree;
  } finally {
    if (!kept) {
      await container[Symbol.asyncDispose]();
      await running.discard();
    }
  }
}

function runOptions({runtime, step, state, words, env, mounts, options, signal}: RunRequest): RunOptions {
  const {network: asked = 'default', extraHosts, limits, shmSizeBytes, ulimits, cgroupParent} = options;
  const network = step.network === 'default' ? asked : step.network;
  return {
    command: words,
    entrypoint: [],
    env: [...env, ...mounts.env],
    user: state.config.User ?? '',
    network: network === 'default' ? (runtime.facts.isRoot ? 'bridge' : 'none') : network,
    mounts: mounts.mounts as readonly Mount[],
    stdin: 'ignore',
    // All of it is handed on as it comes.
    outputLimitBytes: 64 * 1024,
    healthcheck: 'none',
    signal,
    ...(extraHosts && {extraHosts}),
    ...(limits && {limits}),
    ...(shmSizeBytes !== undefined && {shmSizeBytes}),
    ...(ulimits && {ulimits}),
    ...(cgroupParent !== undefined && {cgroupParent}),
  };
}

function refuseFailure(exit: Exit, words: readonly string[]): void {
  if (exit.kind === 'code' && exit.code === 0) return;
  const code = dockerExitCode(exit);
  const how = exit.kind === 'code' ? undefined : describeExit(exit);
  throw new CoracleError(
    'ERR_BUILD_FAILED',
    `The command '${words.join(' ')}' returned a non-zero code: ${code}`,
    {...(how !== undefined && {hint: how}), details: {exitCode: code}},
  );
}

/** A layer of the directories of its volumes that are not there: mounting would make them. */
function missingVolumes(work: BuildWork, {config, layers}: ImageState): LayerDraft | undefined {
  const volumes = Object.keys(config.Volumes ?? {});
  if (volumes.length === 0) return undefined;
  const draft = new LayerDraft(work.newPath(), work.directories(layers));
  try {
    for (const volume of volumes) {
      const path = Buffer.from(posix.resolve('/', volume)).toString('latin1');
      if (draft.resolve(path) === undefined) draft.makeDirectories(draft.place(path));
    }
    return draft;
  } catch (error) {
    draft[Symbol.dispose]();
    throw error;
  }
}

/** The state as an image, for the containers of its steps. Its volumes are ordinary directories there. */
function imageOf(work: BuildWork, state: ImageState, volumes: LayerDraft | undefined): StoredImage {
  const {Env, WorkingDir, Shell} = state.config;
  const layers = work.directories(state.layers);
  if (volumes?.isEmpty === false) layers.push(`${volumes.path}/fs`);
  const text = (name: string) => (typeof state.platform[name] === 'string' ? state.platform[name] : '');
  return {
    version: 1,
    id: state.key,
    manifest: state.key,
    manifestSize: 0,
    config: {
      ...(Env && {Env}),
      ...(Shell && {Shell}),
      WorkingDir: posix.resolve('/', WorkingDir ?? ''),
    },
    diffIds: state.layers.map(({diffId}) => diffId),
    blobs: [],
    architecture: text('architecture'),
    os: text('os') || 'linux',
    size: 0,
    ...work.accounts(state.layers),
    layers,
    repoTags: [],
    repoDigests: [],
  };
}
