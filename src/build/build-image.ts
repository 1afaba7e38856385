/** An image from a Dockerfile: the whole of a build. */
import {platform as hostOs} from 'node:os';
import {CoracleError} from '../errors.js';
import {
  checkTag,
  type Digest,
  digestOf,
  familiarString,
  formatPlatform,
  type Platform,
  parsePlatform,
  parseReference,
  platformOf,
  type Reference,
  withDefaultTag,
} from '../oci/index.js';
import {
  announceBuild,
  expandStep,
  Image,
  type InRuntime,
  parseDockerfile,
  Runtime,
  type Stage,
  type StagedDockerfile,
  syntaxError,
} from '../sdk/index.js';
import {type BuildWork, ContextTree, type StoredImage} from '../store/index.js';
import {BuildArgs} from './build-args.js';
import {atInstruction} from './build-error.js';
import type {BuildContext, BuildOptions, BuildProgress} from './build-options.js';
import {buildStage} from './build-stage.js';
import {CacheSources} from './cache-sources.js';
import {checkBuildOptions} from './check-build-options.js';
import {type ImageState, imageDocument, nextKey} from './image-state.js';
import {neededStages, stageBefore, targetStage} from './needed-stages.js';
import {openContext} from './open-context.js';

/**
 * Makes an image as a Dockerfile says.
 * @throws `ERR_DOCKERFILE_SYNTAX` with the line, `ERR_BUILD_FAILED` with the exit code of the RUN that failed,
 * `ERR_BUILD_SOURCE`, `ERR_BUILD_CONTEXT`, `ERR_BUILD_TARGET`, `ERR_BUILD_SECRET`, `ERR_DOWNLOAD_FAILED`,
 * `ERR_IMAGE_NOT_FOUND`, `ERR_INVALID_OPTION`, `ERR_UNSUPPORTED_OPTION`, and as `Container.run`; or the reason of the aborted
 * `signal`. Those of an instruction have its `file`, `line` and `instruction` in their details.
 */
export async function buildImage(
  context: BuildContext,
  options: BuildOptions = {},
  in_: InRuntime = {},
): Promise<Image> {
  checkBuildOptions(options);
  const references = (options.tags ?? []).map(parseTag);
  const {onProgress: tell = () => {}, signal} = options;
  signal?.throwIfAborted();
  const runtime = in_.runtime ?? (await Runtime.default());
  await using work = runtime.store.beginBuild();
  using open = await openContext(context, options, work);
  const dockerfile = parsed(open.dockerfile.source, open.dockerfile.name);
  await using building = new Building({
    runtime,
    work,
    options,
    dockerfile,
    context: open.tree,
    file: open.dockerfile.name,
    tell,
  });
  const state = await building.target();
  signal?.throwIfAborted();
  const unused = building.unusedArgs().sort().join(' ');
  if (unused !== '')
    tell({type: 'warning', message: `[Warning] One or more build-args [${unused}] were not consumed`});
  const stored = await publish(runtime, work, state, references, signal);
  announceBuild(runtime, stored, options.tags ?? []);
  tell({type: 'built', id: stored.id});
  for (const reference of new Set(references.map(each => familiarString(withDefaultTag(each)))))
    tell({type: 'tagged', reference});
  return Image.get(stored.id, {runtime});
}

function parseTag(text: string) {
  const reference = parseReference(text);
  checkTag(reference, 'build tag cannot contain a digest');
  return reference;
}

/** Nothing is written when it is all there. */
async function publish(
  runtime: Runtime,
  work: BuildWork,
  state: ImageState,
  references: readonly Reference[],
  signal: AbortSignal | undefined,
): Promise<StoredImage> {
  if (state.isParent) {
    for (const reference of references) await runtime.store.tagImage(state.parent!, reference);
    return runtime.store.getImage(state.parent!);
  }
  const document = imageDocument(state);
  const known = runtime.store.findImage(digestOf(document));
  const names = references.map(reference => familiarString(withDefaultTag(reference)));
  if (known !== undefined && names.every(name => known.repoTags.includes(name))) return known;
  return work.addImage(document, state, references, signal);
}

function parsed(source: string | Uint8Array, file: string): StagedDockerfile {
  try {
    return parseDockerfile(source);
  } catch (error) {
    if (!(error instanceof CoracleError)) throw error;
    const {code, message, details} = error;
    throw new CoracleError(code, message, {cause: error, details: {file, ...details}});
  }
}

interface BuildParts {
  readonly runtime: Runtime;
  readonly work: BuildWork;
  readonly options: BuildOptions;
  readonly dockerfile: StagedDockerfile;
  readonly context: ContextTree;
  readonly file: string;
  readonly tell: (event: BuildProgress) => void;
}

/** One build: each of its stages is carried out once, when it is first wanted. */
class Building implements AsyncDisposable {
  readonly #parts: BuildParts;
  readonly #args: BuildArgs;
  readonly #platform: Platform;
  readonly #host: Platform;
  readonly #stop = new AbortController();
  readonly #signal: AbortSignal;
  readonly #states = new Map<Stage, Promise<ImageState>>();
  readonly #files = new Map<string, Promise<{readonly tree: ContextTree; readonly key: Digest}>>();
  readonly #opened: Disposable[] = [];
  #needed: readonly Stage[] = [];
  #cacheSources: Promise<CacheSources> | undefined;

  constructor(parts: BuildParts) {
    this.#parts = parts;
    const {options} = parts;
    this.#host = {...platformOf(process.arch), os: hostOs()};
    this.#platform = options.platform === undefined ? this.#host : parsePlatform(options.platform);
    this.#args = BuildArgs.global(options.buildArgs ?? {}, this.#host, this.#platform);
    this.#signal = AbortSignal.any([this.#stop.signal, ...(options.signal ? [options.signal] : [])]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await Promise.allSettled([...this.#states.values(), ...this.#files.values()]);
    for (const each of this.#opened) each[Symbol.dispose]();
  }

  unusedArgs(): string[] {
    return this.#args.unused();
  }

  /** What the build ends with; stages that it needs are carried out side by side as far as they can. */
  async target(): Promise<ImageState> {
    const {dockerfile, options, tell, file} = this.#parts;
    for (const message of dockerfile.warnings) tell({type: 'warning', message: `[WARNING]: ${message}`});
    const lookup = (name: string) => this.#args.value(name);
    for (const step of dockerfile.globalArgs) {
      try {
        for (const {name, value} of expandStep(step, lookup, dockerfile.escapeToken).args)
          this.#args.declare(name, value);
      } catch (error) {
        throw atInstruction(error, file, step.at, 0);
      }
    }
    const target = targetStage(dockerfile, options.target);
    this.#needed = neededStages(dockerfile, target, stage => this.#baseOf(stage).base);
    for (const [number, arg] of dockerfile.globalArgs.entries())
      this.#tellStep(this.#needed[0]!, number + 1, arg);
    try {
      // One that fails ends the others, and is what is told.
      await Promise.all(this.#needed.map(stage => this.#state(stage)));
    } catch (error) {
      this.#stop.abort(error);
      throw error;
    }
    const state = withLabels(await this.#state(target), options.labels ?? {});
    if (state.parent !== undefined || state.history.length > 0 || state.config.Labels) return state;
    const nothing = new CoracleError(
      'ERR_BUILD_FAILED',
      'No image was generated. Is your Dockerfile empty?',
      {details: {exitCode: 1}},
    );
    throw atInstruction(nothing, file, target.from.at, target.index);
  }

  #tellStep({index: stage}: Stage, step: number, {at}: Pick<Stage['from'], 'at'>): void {
    const {text: instruction, line} = at;
    this.#parts.tell({type: 'step', stage, step, steps: this.#steps, instruction, line});
  }

  /** Of all that is carried out, as they are counted in what is told. */
  get #steps(): number {
    return this.#stepsOf(this.#needed);
  }

  #stepsOf(stages: readonly Stage[]): number {
    return stages.reduce((sum, {steps}) => sum + 1 + steps.length, this.#parts.dockerfile.globalArgs.length);
  }

  #baseOf(stage: Stage) {
    const {dockerfile, file} = this.#parts;
    try {
      const from = expandStep(stage.from, name => this.#args.value(name), dockerfile.escapeToken);
      if (from.base !== '') return from;
      throw syntaxError(`base name (${stage.from.base}) should not be blank`, from.at, from.at.text);
    } catch (error) {
      throw atInstruction(error, file, stage.from.at, stage.index);
    }
  }

  #state(stage: Stage): Promise<ImageState> {
    const known = this.#states.get(stage);
    if (known !== undefined) return known;
    const state = this.#build(stage);
    state.catch(() => {}); // whoever awaits it is told
    this.#states.set(stage, state);
    return state;
  }

  async #build(stage: Stage): Promise<ImageState> {
    const {runtime, work, dockerfile, context, file, options, tell} = this.#parts;
    const before = this.#needed.filter(({index}) => index < stage.index);
    const step = this.#stepsOf(before) + 1;
    this.#tellStep(stage, step, stage.from);
    const {base, baseId} = await this.#base(stage);
    this.#cacheSources ??= this.#openCacheSources();
    return buildStage({
      ...{runtime, work, stage, base, baseId, context, file, options, tell},
      firstStep: step + 1,
      args: this.#args.ofStage(),
      escapeToken: dockerfile.escapeToken,
      filesOf: name => this.#filesOf(name, stage),
      cacheSources: await this.#cacheSources,
      signal: this.#signal,
      steps: this.#steps,
    });
  }

  /** Another stage, nothing, or an image. */
  async #base(stage: Stage): Promise<{readonly base: ImageState; readonly baseId: string}> {
    const {dockerfile, file} = this.#parts;
    const {base, platform} = this.#baseOf(stage);
    const before = dockerfile.stages.slice(0, stage.index);
    const other = before.findLast(({from}) => from.name === base.toLowerCase());
    if (other !== undefined) {
      const state = await this.#state(other);
      const baseId = state.isParent ? state.parent! : digestOf(imageDocument(state));
      return {base: {...state, hasCommand: false}, baseId};
    }
    try {
      const wanted = platform === undefined || platform === '' ? this.#platform : parsePlatform(platform);
      if (base === 'scratch') return {base: this.#scratch(wanted), baseId: ''};
      const image = await this.#image(base, wanted);
      return {base: await this.#imageState(image), baseId: image.id};
    } catch (error) {
      throw atInstruction(error, file, stage.from.at, stage.index);
    }
  }

  #scratch(platform: Platform): ImageState {
    const {os, architecture, variant} = platform;
    return {
      config: {},
      author: undefined,
      hasCommand: false,
      layers: [],
      history: [],
      platform: {architecture, os, ...(variant !== undefined && {variant})},
      created: undefined,
      parent: undefined,
      isParent: false,
      key: digestOf(`scratch ${formatPlatform(platform)}`),
    };
  }

  async #imageState(image: StoredImage): Promise<ImageState> {
    const {layers, history, platform} = await this.#parts.work.base(image);
    const {id, config, author, created} = image;
    const key = nextKey(id, 'image');
    return {
      config,
      author,
      hasCommand: false,
      layers,
      history,
      platform,
      created,
      parent: id,
      isParent: true,
      key,
    };
  }

  /** Of the store, or pulled. */
  #image(reference: string, platform: Platform): Promise<StoredImage> {
    const {runtime, options} = this.#parts;
    const isAny = options.platform === undefined && platform === this.#host;
    return runtime.imageFor(reference, {
      pull: options.pull ? 'always' : 'missing',
      platform: isAny ? undefined : formatPlatform(platform),
      signal: this.#signal,
    });
  }

  /** Of `COPY --from` and of mounts: an earlier stage, or an image. */
  async #filesOf(name: string, user: Stage): Promise<{readonly tree: ContextTree; readonly key: Digest}> {
    const {dockerfile, work} = this.#parts;
    const stage = stageBefore(dockerfile.stages, user, name);
    const id = stage === undefined ? `image ${name}` : `stage ${stage.index}`;
    const open = async () => {
      const {layers, key} =
        stage === undefined
          ? await this.#imageState(await this.#image(name, this.#platform))
          : await this.#state(stage);
      const tree = new ContextTree(work.directories(layers));
      this.#opened.push(tree);
      return {tree, key};
    };
    const known = this.#files.get(id) ?? open();
    known.catch(() => {}); // whoever awaits it is told
    this.#files.set(id, known);
    return known;
  }

  async #openCacheSources(): Promise<CacheSources> {
    const {runtime, work, options} = this.#parts;
    const images = (options.cacheFrom ?? []).flatMap(name => runtime.store.findImage(name) ?? []);
    return CacheSources.open(work, images);
  }
}

/** Those of the caller, which no instruction has written. */
function withLabels(state: ImageState, labels: Readonly<Record<string, string>>): ImageState {
  const pairs = Object.entries(labels);
  if (pairs.length === 0) return state;
  const {config} = state;
  const Labels = {...config.Labels, ...Object.fromEntries(pairs)};
  return {...state, config: {...config, Labels}, isParent: false};
}
