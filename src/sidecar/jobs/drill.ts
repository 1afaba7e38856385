import {createHash} from 'node:crypto';
import {CoracleError} from '../../errors.js';
import {type InRuntime, Runtime, replaceVolume, type ScratchVolume, scratchVolume} from '../../sdk/index.js';
import type {Progress} from '../progress.js';
import type {Repository, Snapshot, SnapshotPart} from '../repository.js';
import {
  type CheckOptions,
  type CheckPlan,
  checkApplication,
  checkDump,
  planCheck,
} from './check-application.js';
import {findReadable, type Wanted} from './find-snapshot.js';
import {type InRepository, withRepository} from './open-repository.js';

export interface DrillOptions extends CheckOptions, Wanted, InRepository {
  readonly onProgress?: ((progress: Progress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface DrillReport {
  /** Id. */
  readonly snapshot: string;
  readonly passed: boolean;
  /** What was done and found, one line each, in order. */
  readonly notes: readonly string[];
  /** RFC 3339, UTC, of its beginning. */
  readonly time: string;
  readonly durationMs: number;
}

/**
 * Proves a snapshot: restores it into volumes that only this has, compares them with what was saved, starts a container of the
 * application's own image on them, in which a command has to succeed, and removes all of it. What came of it is kept beside the
 * snapshot. A snapshot that fails is no error; only what keeps the drill from being held is.
 * @throws `ERR_SNAPSHOT_NOT_FOUND`, `ERR_INVALID_OPTION` for a check of a snapshot without an application and without `image`,
 * `ERR_IMAGE_NOT_FOUND`
 */
export async function drill(options: DrillOptions, in_: InRuntime = {}): Promise<DrillReport> {
  const runtime = in_.runtime ?? (await Runtime.default());
  return await withRepository(options, runtime, async repository => {
    const found = await findReadable(repository, await repository.snapshots(), options);
    return await drillSnapshot(repository, found.snapshot, options, runtime, found.warnings);
  });
}

/** As `drill`, of a snapshot that was found. */
export async function drillSnapshot(
  repository: Repository,
  snapshot: Snapshot,
  options: CheckOptions & Pick<DrillOptions, 'onProgress' | 'signal'>,
  runtime: Runtime,
  warnings: readonly string[] = [],
): Promise<DrillReport> {
  const plan = await planCheck(snapshot, options, runtime);
  const time = new Date().toISOString();
  const from = performance.now();
  const notes: string[] = [...warnings];
  const scratch: ScratchVolume[] = [];
  let passed: boolean;
  try {
    const note = (line: string) => void notes.push(line);
    passed = await isProven({repository, snapshot, runtime, options, plan, note, scratch});
  } finally {
    for (const volume of scratch) await volume[Symbol.asyncDispose]();
  }
  await repository.record({kind: 'drill', snapshot: snapshot.id, time, passed, notes});
  return {snapshot: snapshot.id, passed, notes, time, durationMs: Math.round(performance.now() - from)};
}

interface Drill {
  readonly repository: Repository;
  readonly snapshot: Snapshot;
  readonly runtime: Runtime;
  readonly options: CheckOptions & Pick<DrillOptions, 'onProgress' | 'signal'>;
  readonly plan: CheckPlan | undefined;
  readonly note: (line: string) => void;
  /** What is to be removed after it. */
  readonly scratch: ScratchVolume[];
}

async function isProven(drill: Drill): Promise<boolean> {
  const {snapshot, runtime, options, plan, note, scratch} = drill;
  const volumes = new Map<string, string>();
  for (const part of snapshot.parts) {
    try {
      if (part.kind === 'dump') await readDump(drill, part);
      else {
        const volume = await scratchVolume(runtime, 'coracle-drill');
        scratch.push(volume);
        volumes.set(part.name, volume.name);
        await restorePart(drill, part, volume);
      }
    } catch (error) {
      options.signal?.throwIfAborted();
      note(`${part.name}: ${(error as Error).message}`);
      return false;
    }
  }
  if (plan === undefined) return true;
  if (plan.readsDumps) return await areReadable(drill, plan);
  return await checkApplication(plan, volumes, {runtime, signal: options.signal, note});
}

async function areReadable(
  {repository, snapshot, runtime, options, note}: Drill,
  plan: CheckPlan,
): Promise<boolean> {
  const {signal} = options;
  for (const {name} of snapshot.parts) {
    const dump = repository.openDump(snapshot, name, {signal});
    if (!(await checkDump(plan, name, dump, {runtime, signal, note}))) return false;
  }
  return true;
}

/** @throws Error that says what is not as it was saved */
async function restorePart(
  {repository, snapshot, runtime, options, note}: Drill,
  part: SnapshotPart,
  {name}: ScratchVolume,
): Promise<void> {
  const {onProgress, signal} = options;
  let compared = '';
  await replaceVolume(runtime, name, {force: true}, async directory => {
    const {entries, bytes} = await repository.restore(snapshot, part.name, directory, {onProgress, signal});
    signal?.throwIfAborted();
    if (entries !== part.entries || bytes !== part.bytes)
      throw differs(
        part,
        `${entries} entries with ${bytes} bytes came back of ${part.entries} with ${part.bytes}`,
      );
    if (repository.digestOf === undefined || part.digest === undefined) return;
    const digest = await repository.digestOf(directory, {signal});
    if (digest !== part.digest) throw differs(part, `the tree is ${digest}, and was ${part.digest}`);
    compared = ', the same as saved';
  });
  note(`${part.name}: ${part.entries} entries restored, ${part.bytes} bytes${compared}`);
}

async function readDump({repository, snapshot, options, note}: Drill, part: SnapshotPart): Promise<void> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const chunk of repository.openDump(snapshot, part.name, options)) {
    hash.update(chunk);
    bytes += chunk.length;
  }
  const digest = hash.digest('hex');
  if (bytes !== part.bytes) throw differs(part, `the dump has ${bytes} bytes, and had ${part.bytes}`);
  const isSame = part.digest === undefined || part.digest.replace(/^sha256:/, '') === digest;
  if (!isSame) throw differs(part, `the dump is ${digest}, and was ${part.digest}`);
  note(`${part.name}: dump read, ${bytes} bytes${part.digest === undefined ? '' : ', the same as saved'}`);
}

function differs({name}: SnapshotPart, how: string): CoracleError {
  return new CoracleError('ERR_BACKUP_DAMAGED', how, {details: {part: name}});
}
