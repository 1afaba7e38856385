/** Carries out one stage, instruction by instruction. What was done before, with the same things, is not done again. */
import {posix} from 'node:path';
import {CoracleError} from '../errors.js';
import type {Digest} from '../oci/index.js';
import {digestOf} from '../oci/index.js';
import {
  applySetting,
  DEFAULT_PATH,
  DEFAULT_SHELL,
  describeSetting,
  expandStep,
  type Of,
  parseInstruction,
  parseSignal,
  type Runtime,
  readInstruction,
  resolveUser,
  type Setting,
  type Settings,
  type Stage,
  type Step,
} from '../sdk/index.js';
import {type BuildWork, type BuiltLayer, type ContextTree, LayerDraft} from '../store/index.js';
import type {BuildArgs} from './build-args.js';
import {atInstruction} from './build-error.js';
import type {BuildOptions, BuildProgress} from './build-options.js';
import type {CacheSources} from './cache-sources.js';
import {type CopyPlace, carryOutCopy, prepareCopy} from './copy-files.js';
import {afterStep, type ImageState, imageDocument, nextKey} from './image-state.js';
import {mountFacts, prepareMounts} from './prepare-mounts.js';
import {carryOutRun, SCRIPTS, wordsOf} from './run-command.js';
import {parseRunMount} from './run-mounts.js';

export interface StageRequest {
  readonly runtime: Runtime;
  readonly work: BuildWork;
  readonly stage: Stage;
  /** What its FROM names, and the id of that; '' for nothing. */
  readonly base: ImageState;
  readonly baseId: string;
  readonly args: BuildArgs;
  readonly escapeToken: string;
  /** As messages call the Dockerfile. */
  readonly file: string;
  readonly context: ContextTree;
  /** Files of a stage or an image; its key says which they are. */
  readonly filesOf: (name: string) => Promise<{readonly tree: ContextTree; readonly key: Digest}>;
  readonly cacheSources: CacheSources;
  readonly options: BuildOptions;
  readonly signal: AbortSignal;
  /** Number of the first instruction after its FROM, and of all that will be carried out. */
  readonly firstStep: number;
  readonly steps: number;
  readonly tell: (event: BuildProgress) => void;
}

/** After FROM. @throws what its instructions throw, with the place in the Dockerfile; `ERR_BUILD_FAILED` for a RUN that fails */
export async function buildStage(request: StageRequest): Promise<ImageState> {
  const {stage, base, tell, signal, firstStep, steps} = request;
  const {index, from} = stage;
  const carrying = new StageBuilder(request, base);
  tell({type: 'made', stage: index, id: request.baseId});
  await carrying.at(from.at, () => carrying.triggers());
  for (const [number, step] of stage.steps.entries()) {
    signal.throwIfAborted();
    const {text, line} = step.at;
    tell({type: 'step', stage: index, step: firstStep + number, steps, instruction: text, line});
    await carrying.at(step.at, () => carrying.step(step));
    tell({type: 'made', stage: index, id: digestOf(imageDocument(carrying.state))});
  }
  tell({type: 'ended', stage: index});
  return carrying.state;
}

class StageBuilder {
  state: ImageState;
  readonly #request: StageRequest;
  readonly #stage: number;

  constructor(request: StageRequest, base: ImageState) {
    this.#request = request;
    this.#stage = request.stage.index;
    this.state = withPath(base);
  }

  /** How the history marks what was no command. */
  get #nop(): string {
    return `${(this.state.config.Shell ?? DEFAULT_SHELL).join(' ')} #(nop)`;
  }

  async at(instruction: Step['at'], carryOut: () => Promise<void>): Promise<void> {
    try {
      await carryOut();
    } catch (error) {
      throw atInstruction(error, this.#request.file, instruction, this.#stage);
    }
  }

  /** What the image was told to do when somebody builds on it. */
  async triggers(): Promise<void> {
    const {OnBuild = [], ...config} = this.state.config;
    if (OnBuild.length === 0) return;
    const {tell, escapeToken} = this.#request;
    tell({type: 'triggers', stage: this.#stage, count: OnBuild.length});
    this.state = {...this.state, config};
    for (const trigger of OnBuild) await this.step(parseInstruction(readInstruction(trigger, escapeToken)));
  }

  async step(written: Step): Promise<void> {
    const {args, escapeToken, signal} = this.#request;
    const step = expandStep(written, args.lookup(this.state.config), escapeToken);
    signal.throwIfAborted();
    switch (step.kind) {
      case 'from':
        throw new CoracleError('ERR_INVALID_OPTION', 'FROM is no step of a stage');
      case 'arg':
        return this.#declare(step);
      case 'run':
        return this.#run(step);
      case 'copy':
      case 'add':
        return this.#copy(step);
      case 'workdir':
        return this.#workdir(step);
      default:
        if (step.kind === 'stopsignal') parseSignal(step.signal);
        return this.#set(step);
    }
  }

  async #declare({args}: Of<'arg'>): Promise<void> {
    const told: string[] = [];
    for (const {name, value} of args) {
      const known = this.#request.args.declare(name, value);
      told.push(known === undefined ? name : `${name}=${known}`);
    }
    // What an argument is matters to a RUN, which says so.
    const written = args.map(({name, value}) => (value === undefined ? name : `${name}=${value}`));
    await this.#note(`ARG ${written.join(' ')}`, this.state, nextKey(this.state.key, 'arg', written));
  }

  async #set(step: Setting): Promise<void> {
    const settings = applySetting(this.state, step);
    const told = describeSetting(step, settings.config);
    const {at: _place, ...statement} = step as Setting & {at?: unknown};
    await this.#note(
      told.trimStart(),
      settings,
      nextKey(this.state.key, statement),
      told.startsWith(' ') ? ' ' : '',
    );
  }

  /** An instruction that changes no file. */
  async #note(told: string, settings: Settings, key: Digest, blank = ' '): Promise<void> {
    const createdBy = `${this.#nop} ${blank}${told}`;
    const known = await this.#known(key, createdBy);
    if (known === undefined) this.#remember(key, createdBy, settings, null);
    else this.#reuse(key, createdBy, settings, known);
  }

  async #workdir(step: Of<'workdir'>): Promise<void> {
    const settings = applySetting(this.state, step);
    const {WorkingDir = '/', User} = settings.config;
    const key = nextKey(this.state.key, 'workdir', WorkingDir);
    const createdBy = `${this.#nop} WORKDIR ${WorkingDir}`;
    const known = await this.#known(key, createdBy);
    if (known !== undefined) return this.#reuse(key, createdBy, settings, known);
    const {work, signal} = this.#request;
    using draft = new LayerDraft(work.newPath(), work.directories(this.state.layers));
    const owner = User ? resolveUser(User, [], work.accounts(this.state.layers)) : undefined;
    const made = draft.makeDirectories(draft.place(Buffer.from(WorkingDir).toString('latin1')), owner);
    this.#remember(key, createdBy, settings, made ? await work.commit(draft.path, signal) : null);
  }

  async #copy(step: Of<'copy'> | Of<'add'>): Promise<void> {
    const {work, signal, context, filesOf} = this.#request;
    const from = step.kind === 'copy' && step.from !== '' ? step.from : undefined;
    const opened: Disposable[] = [];
    const keep = <Opened extends Disposable>(each: Opened): Opened => {
      opened.push(each);
      return each;
    };
    try {
      const place: CopyPlace = {
        work,
        tree: from === undefined ? context : (await filesOf(from)).tree,
        inContext: from === undefined,
        workdir: posix.resolve('/', this.state.config.WorkingDir ?? ''),
        signal,
        keep,
      };
      const prepared = await prepareCopy(step, place);
      const createdBy = `${this.#nop} ${prepared.told}`;
      const key = nextKey(this.state.key, 'copy', prepared.told, ...prepared.facts);
      const known = await this.#known(key, createdBy);
      if (known !== undefined) return this.#reuse(key, createdBy, this.state, known);
      const tree = await carryOutCopy(step, prepared, work.directories(this.state.layers), place);
      this.#remember(key, createdBy, this.state, await work.commit(tree, signal));
    } finally {
      for (const each of opened) each[Symbol.dispose]();
    }
  }

  async #run(step: Of<'run'> & Step): Promise<void> {
    const {runtime, work, options, signal, tell, args, context, filesOf} = this.#request;
    if (step.security === 'insecure') {
      throw new CoracleError('ERR_UNSUPPORTED_OPTION', 'RUN --security=insecure is not supported', {
        hint: 'Run it in a privileged container of the image, and commit that: coracle commit.',
      });
    }
    const workdir = posix.resolve('/', this.state.config.WorkingDir ?? '');
    const mounts = step.mounts.map(text => parseRunMount(text, workdir));
    const tree = async (from: string | undefined) =>
      from === undefined ? {tree: context, key: null} : await filesOf(from);
    const {words, script} = wordsOf(step, this.state.config);
    const {told, untold} = args.environment(this.state.config);
    const facts = await mountFacts(mounts, {tree, signal});
    const counted = told.length > 0 ? `|${told.length} ${told.join(' ')} ` : '';
    const createdBy = `${counted}${words.join(' ')}`;
    const network = step.network === 'default' ? (options.network ?? 'default') : step.network;
    const key = nextKey(this.state.key, 'run', words, script ?? null, told, facts, network);
    const known = await this.#known(key, createdBy);
    if (known !== undefined) return this.#reuse(key, createdBy, this.state, known);
    await using prepared = await prepareMounts(mounts, facts, {
      work,
      tree,
      secrets: options.secrets ?? {},
      signal,
      ...(script && {scripts: {directory: SCRIPTS, ...script}}),
    });
    const changed = await carryOutRun({
      ...{runtime, work, step, state: this.state, stage: this.#stage, words, options, signal, tell},
      env: [...told, ...untold],
      mounts: prepared,
    });
    this.#remember(key, createdBy, this.state, await work.commit(changed, signal));
  }

  async #known(
    key: Digest,
    createdBy: string,
  ): Promise<{created: string; layer: BuiltLayer | null} | undefined> {
    const {work, options, cacheSources} = this.#request;
    if (options.noCache) return undefined;
    return (await work.recall(key)) ?? cacheSources.find(this.state, createdBy);
  }

  #reuse(
    key: Digest,
    createdBy: string,
    settings: Settings,
    {created, layer}: {readonly created: string; readonly layer: BuiltLayer | null},
  ): void {
    this.#request.tell({type: 'cached', stage: this.#stage});
    this.state = afterStep(this.state, settings, {key, createdBy, created, layer});
  }

  #remember(key: Digest, createdBy: string, settings: Settings, layer: BuiltLayer | null): void {
    const created = new Date().toISOString();
    this.#request.work.remember(key, {created, layer});
    this.state = afterStep(this.state, settings, {key, createdBy, created, layer});
  }
}

/** Docker puts it into every image that it builds. */
function withPath(state: ImageState): ImageState {
  const {Env = []} = state.config;
  if (Env.some(variable => variable.startsWith('PATH='))) return state;
  return {...state, config: {...state.config, Env: [`PATH=${DEFAULT_PATH}`, ...Env]}};
}
