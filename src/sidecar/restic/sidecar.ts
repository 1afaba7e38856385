/**
 * The sidecar whose program is restic: this host's own, in a container with a read-only root, the capabilities that its work
 * takes, and a network only where the repository is on one. What is secret comes to it as a file in memory.
 */
import {createHash, randomBytes} from 'node:crypto';
import {existsSync, statSync} from 'node:fs';
import {homedir} from 'node:os';
import {join} from 'node:path';
import {CoracleError} from '../../errors.js';
import {
  Container,
  describeExit,
  Image,
  type Limits,
  type Mount,
  type NetworkMode,
  type RunningContainer,
  type Runtime,
  writeSecret,
} from '../../sdk/index.js';
import {sidecarLimits} from '../sidecar-limits.js';
import {endOf, feed} from '../sidecar-streams.js';
import {environmentFile, passedVariables} from './environment.js';
import {resticFailure, vanished} from './failures.js';
import {REPOSITORY_PLACE, type ResticLocation} from './location.js';

export interface ResticPlace {
  readonly runtime: Runtime;
  readonly location: ResticLocation;
  readonly password: Buffer;
  readonly network: NetworkMode;
  readonly limits: Limits | undefined;
}

export interface ResticRun {
  /** For error messages: `backup of data`. */
  readonly what: string;
  readonly arguments: readonly string[];
  readonly mounts?: readonly Mount[];
  readonly capabilities?: readonly string[];
  /** For the sidecar's shell, before restic. */
  readonly before?: string;
  /** It writes to a volume, not to the repository: whose disk is full then? */
  readonly isRestore?: boolean;
  /** What it reads; it is killed when this fails, before it could take that for the end. */
  readonly stdin?: AsyncIterable<Uint8Array>;
  /** An end that is none of failure, and what it says then. @default none */
  readonly accept?: {readonly code: number; readonly said?: RegExp};
  readonly signal?: AbortSignal | undefined;
  /** Gets stdout line by line; without it, all of it is returned. */
  readonly onLine?: (line: string) => void;
}

export interface ResticResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** @throws `ERR_BINARY_NOT_FOUND` where this host has no restic, and as `resticFailure` */
export async function runRestic(place: ResticPlace, run: ResticRun): Promise<ResticResult> {
  await using opened = await startRestic(place, run);
  const {container} = opened;
  const lines: string[] = [];
  let isGone = false;
  const [stderr] = await Promise.all([
    endOf(container.stderr!, said => {
      isGone ||= triesInVain(place, run, said);
      if (isGone) void container.kill().catch(() => {}); // it may have ended
    }),
    eachLine(container.stdout!, run.onLine ?? (line => void lines.push(line))),
    opened.fed,
  ]);
  if (isGone) throw vanished(place.location.url, stderr);
  const code = await ended(place, run, container, stderr);
  return {code, stdout: lines.join('\n'), stderr};
}

/** In a directory that was removed it tries again for a quarter of an hour, as if it were a server. */
function triesInVain({location: {directory}}: ResticPlace, run: ResticRun, said: string): boolean {
  if (directory === undefined || run.arguments[0] === 'init') return false;
  return /returned error, retrying after/.test(said) && !existsSync(join(directory, 'config'));
}

/** As `runRestic`, for its output as it comes. */
export async function* streamRestic(
  place: ResticPlace,
  run: ResticRun,
): AsyncGenerator<Uint8Array, void, void> {
  await using opened = await startRestic(place, run);
  const {container} = opened;
  const stderr = endOf(container.stderr!);
  yield* container.stdout!;
  await ended(place, run, container, await stderr);
}

interface Started extends AsyncDisposable {
  readonly container: RunningContainer;
  /** Rejects with what went wrong with the input. */
  readonly fed: Promise<unknown>;
}

async function startRestic(place: ResticPlace, run: ResticRun): Promise<Started> {
  const {runtime, location, network, limits} = place;
  const image = await imageFor(place);
  const variables = {...passedVariables(process.env), RESTIC_REPOSITORY: location.repository};
  const secret = writeSecret(runtime.store.live, environmentFile(variables, place.password), {
    mode: 0o400,
    uid: 0,
    gid: 0,
  });
  try {
    const isRemote = location.directory === undefined;
    const container = await Container.run(
      image,
      {
        // What the shell reads is in the environment of restic alone.
        command: [
          ...['sh', '-c', `set -a; . ${SECRET_PLACE}; ${run.before ?? ''}\nexec restic "$@"`, 'restic'],
          ...(isRemote ? [] : ['--no-cache']),
          ...run.arguments,
        ],
        env: {LC_ALL: 'C', HOME: '/root', TMPDIR: '/tmp', ...(isRemote && {RESTIC_CACHE_DIR: CACHE_PLACE})},
        hostname: hostnameOf(runtime),
        mounts: [
          {type: 'bind', source: secret.path, target: SECRET_PLACE, readOnly: true},
          {type: 'tmpfs', target: '/tmp'},
          ...targetMounts(location),
          ...(run.mounts ?? []),
        ],
        network: isRemote ? network : 'none',
        readOnly: true,
        capabilities: {
          drop: ['ALL'],
          add: [...(run.capabilities ?? []), ...repositoryCapabilities(location)],
        },
        ...sidecarLimits(64, limits),
        labels: {'coracle.sidecar': 'restic'},
        stdin: run.stdin === undefined ? 'ignore' : 'pipe',
        stdout: 'pipe',
        stderr: 'pipe',
        ...(run.signal && {signal: run.signal}),
      },
      {runtime},
    );
    const fed = run.stdin === undefined ? Promise.resolve() : feed(container, run.stdin);
    fed.catch(() => {}); // who waits for it is told
    return {
      container,
      fed,
      [Symbol.asyncDispose]: async () => {
        await container[Symbol.asyncDispose]();
        secret[Symbol.dispose]();
      },
    };
  } catch (error) {
    secret[Symbol.dispose]();
    throw error;
  }
}

const SECRET_PLACE = '/run/coracle-restic';
const CACHE_PLACE = '/cache';
const CACHE_VOLUME = 'coracle-restic-cache';

async function imageFor({runtime, location}: ResticPlace): Promise<string> {
  const name = location.isSftp ? 'coracle-restic-sftp' : 'coracle-restic';
  const files = ['/etc/ssl/certs', '/usr/share/ca-certificates'].filter(path => existsSync(path));
  const binaries = ['restic', 'sh', 'find', ...(location.isSftp ? ['ssh'] : [])];
  try {
    await Image.fromHost({name, binaries, files}, {runtime});
  } catch (error) {
    const {code, message} = error as CoracleError;
    if (code !== 'ERR_BINARY_NOT_FOUND') throw error;
    const isSsh = /\bssh\b/.test(message);
    throw new CoracleError('ERR_BINARY_NOT_FOUND', message, {
      cause: error,
      hint: `Install it; Debian's package is ${isSsh ? 'openssh-client' : 'restic'}.`,
    });
  }
  return name;
}

function targetMounts({directory, isSftp}: ResticLocation): Mount[] {
  if (directory !== undefined) return [{type: 'bind', source: directory, target: REPOSITORY_PLACE}];
  const ssh = join(homedir(), '.ssh');
  return [
    {
      type: 'volume',
      name: CACHE_VOLUME,
      target: CACHE_PLACE,
      nocopy: true,
      labels: {'coracle.sidecar': 'cache'},
    },
    ...(isSftp && existsSync(ssh)
      ? [{type: 'bind', source: ssh, target: '/root/.ssh', readOnly: true} as const]
      : []),
  ];
}

/** Root of a container without capabilities may not write to a directory of somebody else's. */
function repositoryCapabilities({directory}: ResticLocation): string[] {
  if (directory === undefined) return [];
  return statSync(directory, {throwIfNoEntry: false})?.uid === process.getuid?.() ? [] : ['DAC_OVERRIDE'];
}

/** Locks carry it: whose they are that nobody holds any more can be told. */
function hostnameOf(runtime: Runtime): string {
  return `${lockPrefix(runtime)}${randomBytes(4).toString('hex')}`;
}

/** Of the sidecars of this store. */
export function lockPrefix({store}: Pick<Runtime, 'store'>): string {
  return `coracle-${createHash('sha256').update(store.live).digest('hex').slice(0, 12)}-`;
}

async function eachLine(stream: AsyncIterable<Uint8Array>, tell: (line: string) => void): Promise<void> {
  let pending = '';
  const decoder = new TextDecoder();
  for await (const chunk of stream) {
    const lines = (pending + decoder.decode(chunk, {stream: true})).split('\n');
    pending = lines.pop()!;
    for (const line of lines) tell(line);
  }
  if (pending !== '') tell(pending);
}

async function ended(
  {location}: ResticPlace,
  {what, accept, signal, isRestore = false}: ResticRun,
  container: RunningContainer,
  stderr: string,
): Promise<number> {
  const exit = await container.exit;
  signal?.throwIfAborted();
  const isAccepted =
    exit.kind === 'code' && exit.code === accept?.code && (accept.said?.test(stderr) ?? true);
  if (exit.kind === 'code' && (exit.code === 0 || isAccepted)) return exit.code;
  const how = `restic ${describeExit(exit)}`;
  throw resticFailure({url: location.url, what, how, stderr, isRestore});
}
