/** Drives the reader in the sidecar, and hands what it reads to a repository. */
import {CoracleError} from '../../errors.js';
import {
  describeExit,
  type InRuntime,
  type Limits,
  type Mount,
  type RunningContainer,
  Runtime,
} from '../../sdk/index.js';
import {type ChunkOf, type Cutting, ID_BYTES} from '../layout/chunk-store.js';
import {FramePipe} from './frame-pipe.js';
import {
  CHUNK,
  type Frame,
  frame,
  KEEP,
  KEYS,
  PARENT,
  PARENT_END,
  PART_END,
  type PartSummary,
  PROGRESS,
  READ,
  REQUEST,
  type ReadRequest,
  readFrames,
  TREE,
  TREE_CHUNK,
  WARNING,
} from './frames.js';
import {runAgent} from './run-agent.js';
import {idsIn} from './tree-record.js';

export interface PartToRead {
  /** What is mounted for the sidecar; its target is chosen here. */
  readonly mount: (target: string) => Mount;
  /** What the tree is compared with. */
  readonly parent: AsyncIterable<Buffer> | undefined;
}

export interface ReceivedPart extends PartSummary {
  /** Ids of the chunks that the tree is joined of. */
  readonly tree: readonly Buffer[];
}

export interface Receiver {
  readonly cutting: Cutting;
  readonly limits?: Limits | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Only what the parts' summaries say is wanted. */
  readonly digestOnly?: boolean;
  /** The bytes are only to be used until what it returns has settled. */
  chunk?(id: Buffer, bytes: Buffer, of: ChunkOf): Promise<void>;
  /** A chunk of the parent that belongs to the new tree as well. */
  keep?(id: Buffer): void;
  progress?(bytes: number): void;
  warn?(text: string): void;
  /** Nothing is read any more. */
  read?(): Promise<void>;
}

/** A sidecar that waits to be told what to read. */
export class ReaderSidecar implements AsyncDisposable {
  readonly container: RunningContainer;
  readonly output: FramePipe;
  /** The end of what it has to say. */
  readonly said: Promise<string>;
  readonly #ended: Promise<void>;

  private constructor(container: RunningContainer, output: FramePipe) {
    this.container = container;
    this.output = output;
    this.said = lastOf(container);
    this.#ended = container.exit.then(() => output.end());
    container.stdin!.on('error', () => {}); // told to whoever writes
  }

  /** @param mounts one for each part; its target is chosen here @throws as `Container.run` */
  static async start(
    mounts: readonly PartToRead['mount'][],
    {limits, signal}: Pick<Receiver, 'limits' | 'signal'>,
    in_: InRuntime,
  ): Promise<ReaderSidecar> {
    const runtime = in_.runtime ?? (await Runtime.default());
    const output = FramePipe.make(runtime.store.work);
    try {
      const volumes = mounts.map((mount, part) => mount(directoryOf(part)));
      const container = await runAgent(
        {task: 'backup', arguments: [OUTPUT], mounts: [...volumes, output.mount(OUTPUT)], limits, signal},
        {runtime},
      );
      return new ReaderSidecar(container, output);
    } catch (error) {
      await output[Symbol.asyncDispose]();
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.container[Symbol.asyncDispose]();
    await this.#ended;
    await this.output[Symbol.asyncDispose]();
  }
}

function directoryOf(part: number): string {
  return `/volumes/${part}`;
}

/**
 * @param started one whose mounts are those of the parts; it is gone afterwards
 * @throws `ERR_SIDECAR_FAILED`, the signal's reason, and whatever `receiver` throws: the sidecar is gone by then
 */
export async function receiveParts(
  parts: readonly PartToRead[],
  receiver: Receiver,
  in_: InRuntime,
  started?: Promise<ReaderSidecar>,
): Promise<ReceivedPart[]> {
  const {signal} = receiver;
  const mounts = parts.map(({mount}) => mount);
  await using sidecar = await (started ?? ReaderSidecar.start(mounts, receiver, in_));
  const {container, output, said} = sidecar;
  const asking = new AbortController();
  const asked = ask(container, parts, receiver, asking.signal);
  let notAsked: unknown;
  asked.catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') notAsked = error; // else the sidecar's own end says more
    container.stdin!.destroy();
  });
  try {
    const received = await receive(
      readFrames(into => output.read(into)),
      receiver,
    );
    await expectEnd(container, await said, signal);
    await asked;
    if (received.length === parts.length) return received;
    throw new CoracleError(
      'ERR_SIDECAR_FAILED',
      `the sidecar read ${received.length} of ${parts.length} parts`,
    );
  } catch (error) {
    signal?.throwIfAborted();
    if (notAsked !== undefined) throw notAsked;
    if (!(error instanceof RangeError)) throw error;
    await expectEnd(container, await said, signal); // which cut its output short
    throw new CoracleError('ERR_SIDECAR_FAILED', `the sidecar sent what is no frame: ${error.message}`, {
      cause: error,
    });
  } finally {
    asking.abort();
  }
}

const OUTPUT = '/coracle/output';

async function ask(
  container: RunningContainer,
  parts: readonly PartToRead[],
  {cutting, digestOnly = false}: Receiver,
  signal: AbortSignal,
): Promise<void> {
  const {minBytes, averageBytes, maxBytes, table, idKey} = cutting;
  const settled = BigInt(Date.now() - UNSETTLED_MS) * 1_000_000n;
  const request: ReadRequest = {
    minBytes,
    averageBytes,
    maxBytes,
    settled: String(settled),
    parts: parts.map(({parent}, index) => ({
      directory: directoryOf(index),
      hasParent: parent !== undefined,
    })),
    digestOnly,
  };
  const stdin = container.stdin!;
  const put = async (type: number, body: Buffer) => {
    signal.throwIfAborted();
    await new Promise<void>((done, failed) => {
      stdin.write(frame(type, body), error => (error ? failed(error) : done()));
    });
  };
  await put(REQUEST, Buffer.from(JSON.stringify(request)));
  await put(KEYS, Buffer.concat([table, ...(idKey ? [idKey] : [])]));
  for (const {parent} of parts) {
    if (parent === undefined) continue;
    for await (const bytes of parent) await put(PARENT, bytes);
    await put(PARENT_END, Buffer.alloc(0));
  }
  stdin.end();
}

/** More than the coarsest clock of a file system: what changed since may change again without its times showing it. */
const UNSETTLED_MS = 2500;

async function receive(frames: AsyncIterable<Frame>, receiver: Receiver): Promise<ReceivedPart[]> {
  const parts: ReceivedPart[] = [];
  let tree: readonly Buffer[] = [];
  for await (const {type, body} of frames) {
    switch (type) {
      case CHUNK:
      case TREE_CHUNK: {
        const id = Buffer.from(body.subarray(0, ID_BYTES));
        await receiver.chunk?.(id, body.subarray(ID_BYTES), type === CHUNK ? 'content' : 'tree');
        break;
      }
      case KEEP:
        for (const id of idsIn(body)) receiver.keep?.(id);
        break;
      case TREE:
        tree = idsIn(Buffer.from(body));
        break;
      case PART_END:
        parts.push({...(JSON.parse(body.toString()) as PartSummary), tree});
        break;
      case WARNING:
        receiver.warn?.(body.toString());
        break;
      case PROGRESS:
        receiver.progress?.(Number(body.readBigUInt64LE()));
        break;
      case READ:
        await receiver.read?.();
        break;
      default:
        throw new RangeError(`a frame of the type ${type}`);
    }
  }
  return parts;
}

/** The end of what it has to say. */
export async function lastOf({stderr}: RunningContainer): Promise<string> {
  let said = '';
  for await (const bytes of stderr!) said = (said + String(bytes)).slice(-SAID_CHARACTERS);
  return said.trim();
}

const SAID_CHARACTERS = 2000;

/** @throws `ERR_SIDECAR_FAILED` unless it did all of it */
export async function expectEnd(
  container: RunningContainer,
  said: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  const exit = await container.exit;
  signal?.throwIfAborted();
  if (exit.kind === 'code' && exit.code === 0) return;
  const how = `it ${describeExit(exit)}`;
  throw new CoracleError('ERR_SIDECAR_FAILED', `the sidecar: ${said || how}`, {details: {exit, said}});
}
