/** The second half of a drill: a container on what was restored, and a command in it that has to succeed. */
import {setTimeout as sleep} from 'node:timers/promises';
import {CoracleError} from '../../errors.js';
import {
  Container,
  describeExit,
  Image,
  type Mount,
  type NetworkMode,
  type RunningContainer,
  type RunOptions,
  type Runtime,
} from '../../sdk/index.js';
import type {Application, Snapshot, SnapshotPart} from '../repository.js';
import {feed} from '../sidecar-streams.js';

export interface CheckOptions {
  /**
   * What has to succeed in the application's container: for its shell, or a list that is executed as it is. It is tried again
   * until it does, or the time is over. Of a snapshot of dumps alone it is all that a container of `image` runs: once for each,
   * which it reads from stdin. @default no container is started
   */
  readonly check?: string | readonly string[] | undefined;
  /** The check is all that the container runs, once; the application is not started. @default false */
  readonly checkAlone?: boolean | undefined;
  /** Of the container. @default the one that the snapshot's first application had */
  readonly image?: string | undefined;
  /** What the container runs. @default as the application did; of another image what that says */
  readonly command?: readonly string[] | undefined;
  /** @default {} : what the image says; the application's own is not kept */
  readonly env?: RunOptions['env'] | undefined;
  /** @default 'none' */
  readonly network?: NetworkMode | undefined;
  /** Where the container has each volume: `{data: '/var/lib/app'}`. @default where the application had it */
  readonly targets?: Readonly<Record<string, string>> | undefined;
  /** Until the check has succeeded. @default 60 000 */
  readonly timeoutMs?: number | undefined;
}

/** What will be run, and where it has which part. */
export interface CheckPlan {
  readonly image: string;
  readonly run: RunOptions;
  readonly check: readonly string[];
  readonly checkAlone: boolean;
  readonly timeoutMs: number;
  readonly targets: Readonly<Record<string, string>>;
  /** Dumps are what it is of: each is its stdin, once. */
  readonly readsDumps: boolean;
}

/** @throws `ERR_INVALID_OPTION` when nobody knows the image or the places, `ERR_IMAGE_NOT_FOUND` */
export async function planCheck(
  {
    applications,
    parts,
  }: Pick<Snapshot, 'applications'> & {
    readonly parts: readonly Pick<SnapshotPart, 'kind' | 'name'>[];
  },
  options: CheckOptions,
  runtime: Runtime,
): Promise<CheckPlan | undefined> {
  const {checkAlone = false, timeoutMs = DEFAULT_TIMEOUT_MS} = options;
  if (options.check === undefined) return undefined;
  const check = typeof options.check === 'string' ? ['sh', '-c', options.check] : options.check;
  const volumes = parts.filter(({kind}) => kind === 'volume').map(({name}) => name);
  const readsDumps = volumes.length === 0;
  const application: Application | undefined = applications[0];
  const image = options.image ?? application?.image;
  if (image === undefined)
    throw new CoracleError(
      'ERR_INVALID_OPTION',
      readsDumps
        ? 'the snapshot has dumps alone, and no container that the check could be run in'
        : 'no container used what the snapshot has',
      {
        hint: readsDumps
          ? 'Say with image (--image) what has the command that reads them: each dump comes on its stdin.'
          : 'Say with image (--image) what the check is to run in.',
      },
    );
  const targets = {...application?.targets, ...options.targets};
  if (!readsDumps && !volumes.some(name => targets[name] !== undefined))
    throw new CoracleError('ERR_INVALID_OPTION', `nobody knows where the check wants ${volumes.join(', ')}`, {
      hint: 'Say it with targets (--target VOLUME=/PATH).',
    });
  await Image.get(image, {runtime});
  const same = image === application?.image ? application : undefined;
  const argv = options.command ?? same?.argv;
  const run: RunOptions = {
    ...(readsDumps && {stdin: 'pipe'}),
    ...(checkAlone || readsDumps
      ? {entrypoint: [], command: check}
      : argv && {entrypoint: [], command: argv}),
    ...(same?.user !== undefined && {user: same.user}),
    ...(options.env && {env: options.env}),
    network: options.network ?? 'none',
    labels: {'coracle.sidecar': 'drill'},
    outputLimitBytes: OUTPUT_BYTES,
  };
  return {image, run, check, checkAlone, timeoutMs, targets, readsDumps};
}

interface Checked {
  readonly runtime: Runtime;
  readonly signal: AbortSignal | undefined;
  readonly note: (line: string) => void;
}

/** @param dump what the check reads; it may end before it has read all */
export async function checkDump(
  {image, run, timeoutMs}: CheckPlan,
  name: string,
  dump: AsyncIterable<Uint8Array>,
  {runtime, signal: aborted, note}: Checked,
): Promise<boolean> {
  const deadline = AbortSignal.timeout(timeoutMs);
  const signal = aborted ? AbortSignal.any([aborted, deadline]) : deadline;
  const noted = (line: string) => note(`${name}: ${line}`);
  try {
    const container = await Container.run(image, {...run, signal}, {runtime});
    try {
      await feed(container, dump);
      return await endsWell(container, deadline, noted);
    } finally {
      await container[Symbol.asyncDispose]();
      await container.settled.catch(() => {});
    }
  } catch (error) {
    aborted?.throwIfAborted();
    noted(deadline.aborted ? 'no success in time' : `check: ${(error as Error).message}`);
    return false;
  }
}

/** @param volumes by the names of the snapshot's parts */
export async function checkApplication(
  {image, run, check, checkAlone, timeoutMs, targets}: CheckPlan,
  volumes: ReadonlyMap<string, string>,
  {runtime, signal: aborted, note}: Checked,
): Promise<boolean> {
  const deadline = AbortSignal.timeout(timeoutMs);
  const signal = aborted ? AbortSignal.any([aborted, deadline]) : deadline;
  const mounts = [...volumes].flatMap(([part, name]): Mount[] => {
    const target = targets[part];
    return target === undefined ? [] : [{type: 'volume', name, target, nocopy: true}];
  });
  try {
    const container = await Container.run(image, {...run, mounts, signal}, {runtime});
    try {
      return checkAlone
        ? await endsWell(container, deadline, note)
        : await succeedsIn(container, check, signal, note);
    } finally {
      await container[Symbol.asyncDispose]();
      await container.settled.catch(() => {});
    }
  } catch (error) {
    aborted?.throwIfAborted();
    note(deadline.aborted ? 'no success in time' : `check: ${(error as Error).message}`);
    return false;
  }
}

const DEFAULT_TIMEOUT_MS = 60_000;

const OUTPUT_BYTES = 64 * 1024;

async function endsWell(
  container: RunningContainer,
  deadline: AbortSignal,
  note: (line: string) => void,
): Promise<boolean> {
  const exit = await container.exit;
  if (deadline.aborted) {
    note('no success in time');
    return false;
  }
  const passed = exit.kind === 'code' && exit.code === 0;
  note(`check ${describeExit(exit)}${passed ? '' : await lastWords(container)}`);
  return passed;
}

/** Again and again: what was just started may not answer yet. */
async function succeedsIn(
  container: RunningContainer,
  check: readonly string[],
  signal: AbortSignal,
  note: (line: string) => void,
): Promise<boolean> {
  let last = '';
  let isOver = false;
  const over = container.exit.then(exit => {
    isOver = true;
    return exit;
  });
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, LAST_PAUSE_MS)) {
    try {
      const {exitCode, stdout, stderr} = await container.capture(check, {
        signal,
        outputLimitBytes: OUTPUT_BYTES,
      });
      if (exitCode === 0) {
        note(`check ended with code 0${said(stdout)}`);
        return true;
      }
      // What is killed at the end of the time says nothing.
      if (!signal.aborted) last = `check ended with code ${exitCode}${said(stderr || stdout)}`;
    } catch (error) {
      if (!isOver && !signal.aborted) last = `check: ${(error as Error).message}`;
    }
    if (!isOver && !signal.aborted)
      await Promise.race([over, sleep(pauseMs, undefined, {signal}).catch(() => {})]);
    if (signal.aborted || isOver) {
      if (last !== '') note(last);
      note(
        isOver
          ? `the application ${describeExit(await over)}${await lastWords(container)}`
          : 'no success in time',
      );
      return false;
    }
  }
}

const FIRST_PAUSE_MS = 50;
const LAST_PAUSE_MS = 2_000;

async function lastWords({stdout, stderr}: RunningContainer): Promise<string> {
  const texts: string[] = [];
  for (const stream of [stderr, stdout]) {
    if (stream === null) continue;
    let text = '';
    for await (const chunk of stream) text += Buffer.from(chunk as Uint8Array).toString();
    texts.push(text);
  }
  return said(texts.find(text => text.trim() !== '') ?? '');
}

/** The last three lines, cut: they are kept. */
function said(text: string): string {
  const lines = text.trim().split('\n').slice(-3).join('; ').slice(0, 300);
  return lines === '' ? '' : `: ${lines}`;
}
