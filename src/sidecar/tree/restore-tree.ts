/** Hands a part to a sidecar that makes what is in it. */
import type {InRuntime, Limits} from '../../sdk/index.js';
import type {ChunkReader} from '../layout/chunk-store.js';
import type {Restored} from '../repository.js';
import {Outlet} from './outlet.js';
import {expectEnd, lastOf} from './receive-parts.js';
import {wrongChunkIn} from './restored-entries.js';
import {runAgent} from './run-agent.js';
import type {SelectedRecords} from './selected-records.js';
import {sendTree} from './send-tree.js';

export interface RestoreTree {
  /** What is to be restored; the sidecar starts meanwhile. The reader is disposed of here. */
  open(): Promise<{readonly records: SelectedRecords; readonly reader: ChunkReader}>;
  /** Of the host, empty. */
  readonly directory: string;
  /** Of chunks' ids, if they have one. */
  readonly idKey: Buffer | undefined;
  readonly tell: (bytes: number) => void;
  readonly limits: Limits | undefined;
  readonly signal: AbortSignal | undefined;
  readonly in_: InRuntime;
}

/** @throws `ERR_SIDECAR_FAILED`, `ERR_REPOSITORY_DAMAGED`, the signal's reason */
export async function restoreTree({
  open,
  directory,
  idKey,
  tell,
  limits,
  signal,
  in_,
}: RestoreTree): Promise<Restored> {
  const mounts = [{type: 'bind', source: directory, target: PLACE}] as const;
  const [opened, started] = await Promise.allSettled([
    open(),
    runAgent({task: 'restore', arguments: [PLACE], mounts, limits, signal}, in_),
  ]);
  await using _reader = opened.status === 'fulfilled' ? opened.value.reader : undefined;
  await using _container = started.status === 'fulfilled' ? started.value : undefined;
  if (opened.status === 'rejected') throw opened.reason;
  if (started.status === 'rejected') throw started.reason;
  const {records, reader} = opened.value;
  const container = started.value;
  const said = lastOf(container);
  const stdin = container.stdin!;
  stdin.on('error', () => {}); // told to whoever writes
  const outlet = new Outlet(
    bytes =>
      new Promise((done, failed) => {
        stdin.write(bytes, error => (error ? failed(error) : done()));
      }),
  );
  const ended = async () => {
    const wrong = wrongChunkIn(await said);
    if (wrong !== undefined) throw reader.wrongChunk(wrong);
    await expectEnd(container, await said, signal);
  };
  try {
    const done = await sendTree(records, {reader, idKey}, (...parts) => outlet.put(...parts), tell);
    await outlet.flush();
    stdin.end();
    await ended();
    return {...done, warnings: []};
  } catch (error) {
    signal?.throwIfAborted();
    if ((error as NodeJS.ErrnoException).code === 'EPIPE') await ended();
    throw error;
  }
}

const PLACE = '/volume';
