/**
 * The sidecar: a container of this host's own GNU tar, with one directory of the host's or with volumes, no network, a
 * read-only root and the capabilities that its work takes. What it reads or writes beside these is its own.
 */
import {CoracleError} from '../errors.js';
import {
  Container,
  describeExit,
  Image,
  type InRuntime,
  type Limits,
  type Mount,
  type RunningContainer,
} from '../sdk/index.js';
import {sidecarLimits} from './sidecar-limits.js';

export const PLACE = '/volume';

export interface Archiver {
  readonly mounts: readonly Mount[];
  readonly arguments: readonly string[];
  /** What tar may do that its being root does not give it. */
  readonly capabilities: readonly string[];
  readonly stdin: 'ignore' | 'pipe';
  readonly purpose: 'backup' | 'restore';
  readonly limits?: Limits | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** @throws `ERR_BINARY_NOT_FOUND` where this host has no tar, and as `Container.run` */
export async function runArchiver(
  {mounts, arguments: words, capabilities, stdin, purpose, limits, signal}: Archiver,
  in_: InRuntime,
): Promise<RunningContainer> {
  await Image.fromHost({name: IMAGE, binaries: ['tar']}, in_);
  return Container.run(
    IMAGE,
    {
      command: ['tar', ...words],
      env: {LC_ALL: 'C'},
      mounts,
      network: 'none',
      readOnly: true,
      capabilities: {drop: ['ALL'], add: capabilities},
      ...sidecarLimits(16, limits),
      labels: {'coracle.sidecar': purpose},
      stdin,
      stdout: 'pipe',
      stderr: 'pipe',
      ...(signal && {signal}),
    },
    in_,
  );
}

const IMAGE = 'coracle-archiver';

/** All of what a file system tells, in the format that `Volume.import` and GNU tar read. */
export const WHOLE = ['--numeric-owner', '--xattrs', '--xattrs-include=*'];

/** One line for each entry on the stream that tar lists on; what else it says there begins with its name. */
export const LISTED = ['--verbose', '--quoting-style=escape'];

/** Counts the entries that are listed, and keeps the last that tar has to say. */
export async function readListing(
  stream: AsyncIterable<Uint8Array>,
): Promise<{readonly entries: number; readonly said: readonly string[]}> {
  let entries = 0;
  let pending = '';
  const said: string[] = [];
  const read = (line: string) => {
    if (line.startsWith('./')) entries++;
    else if (line !== '') said.push(line);
    if (said.length > SAID_LINES) said.shift();
  };
  for await (const chunk of stream) {
    const lines = (pending + Buffer.from(chunk).toString('latin1')).split('\n');
    pending = lines.pop()!;
    lines.forEach(read);
  }
  read(pending);
  return {entries, said};
}

const SAID_LINES = 20;

/** @throws `ERR_SIDECAR_FAILED` unless tar did all of it; 1: a file changed while it was read (tar(1), RETURN VALUE) */
export async function expectDone(
  container: RunningContainer,
  what: string,
  said: readonly string[],
): Promise<void> {
  const exit = await container.exit;
  if (exit.kind === 'code' && exit.code <= 1) return;
  const how = `tar ${describeExit(exit)}`;
  throw new CoracleError('ERR_SIDECAR_FAILED', `${what}: ${[how, ...said.slice(-3)].join('; ')}`, {
    details: {exit, said},
  });
}
