/**
 * What an application says of itself, instead of its files: a sidecar from an image of the caller's choice joins its network
 * and runs a command such as `pg_dump -h 127.0.0.1`; what that prints is kept. A restore feeds it to the inverse command.
 */
import {CoracleError} from '../errors.js';
import {
  Container,
  describeExit,
  type InRuntime,
  type Limits,
  type NetworkMode,
  type RunningContainer,
  type RunOptions,
} from '../sdk/index.js';
import type {DumpSource} from './repository.js';
import {endOf, feed} from './sidecar-streams.js';

/** The sidecar that talks to an application. */
export interface DumpSidecar {
  /** Whose network it joins: name or id of a container that runs. With `links` or `network` it joins that instead. */
  readonly container?: string;
  /** What it runs: an image that has the application's tools, of the same version. */
  readonly image: string;
  /** A string is for its shell, a list is executed as it is. */
  readonly command: string | readonly string[];
  /** `db:database` each, as of `RunOptions`. @default [] */
  readonly links?: readonly string[];
  /** As of `RunOptions`. @default the container's, or 'bridge' with `links` */
  readonly network?: NetworkMode;
  /** Whoever may inspect containers sees it while it runs: passwords are better in a file of `mounts`. @default {} */
  readonly env?: RunOptions['env'];
  readonly mounts?: RunOptions['mounts'];
  readonly user?: string;
  /** @default all are dropped */
  readonly capabilities?: RunOptions['capabilities'];
  readonly limits?: Limits;
}

/**
 * A part of a snapshot. Its image and its container are looked for when it is opened.
 * @throws from its stream `ERR_DUMP_FAILED` when the command ends with another code than 0, and as `Container.run`
 * @example dumpSource('app.sql', {container: 'app-db', image: 'postgres:15', command: 'pg_dump -h 127.0.0.1 -U app app'})
 */
export function dumpSource(name: string, sidecar: DumpSidecar, in_: InRuntime = {}): DumpSource {
  if (!/^[a-zA-Z0-9][\w.-]*$/.test(name)) {
    throw new CoracleError('ERR_INVALID_OPTION', `a dump cannot be called ${JSON.stringify(name)}`, {
      hint: 'Letters, digits and _.- make up its name.',
    });
  }
  return {kind: 'dump', name, open: signal => dumpOf(name, sidecar, signal, in_)};
}

async function* dumpOf(
  name: string,
  sidecar: DumpSidecar,
  signal: AbortSignal | undefined,
  in_: InRuntime,
): AsyncGenerator<Uint8Array, void, void> {
  await using container = await start(sidecar, 'backup', 'ignore', signal, in_);
  const said = endOf(container.stderr!);
  yield* container.stdout!;
  await expectDone(container, `dump ${name}`, await said, signal);
}

/**
 * Feeds what a dump was to the inverse command.
 * @throws `ERR_DUMP_FAILED` when that ends with another code than 0, as `Container.run`, and what the stream throws: the
 * command is killed then, and does not see the end
 */
export async function restoreDump(
  name: string,
  content: AsyncIterable<Uint8Array>,
  sidecar: DumpSidecar,
  {signal, ...in_}: InRuntime & {readonly signal?: AbortSignal | undefined} = {},
): Promise<{readonly bytes: number}> {
  let bytes = 0;
  async function* counted() {
    for await (const chunk of content) {
      bytes += chunk.length;
      yield chunk;
    }
  }
  await using container = await start(sidecar, 'restore', 'pipe', signal, in_);
  const [said, , isAllRead] = await Promise.all([
    endOf(container.stderr!),
    endOf(container.stdout!),
    feed(container, counted()),
  ]);
  const what = `restore of the dump ${name}`;
  await expectDone(container, what, said, signal);
  if (isAllRead) return {bytes};
  throw new CoracleError('ERR_DUMP_FAILED', `${what}: the command ended with code 0 before it had read all`);
}

async function start(
  sidecar: DumpSidecar,
  purpose: 'backup' | 'restore',
  stdin: 'ignore' | 'pipe',
  signal: AbortSignal | undefined,
  in_: InRuntime,
): Promise<RunningContainer> {
  const {image, command, env, mounts, user, limits, capabilities = {drop: ['ALL']}} = sidecar;
  return Container.run(
    image,
    {
      command: typeof command === 'string' ? ['sh', '-c', command] : command,
      ...(await networkOf(sidecar, in_)),
      ...(env && {env}),
      ...(mounts && {mounts}),
      ...(user !== undefined && {user}),
      ...(limits && {limits}),
      capabilities,
      labels: {'coracle.sidecar': purpose},
      stdin,
      stdout: 'pipe',
      stderr: 'pipe',
      ...(signal && {signal}),
    },
    in_,
  );
}

async function networkOf(
  {container, links = [], network}: DumpSidecar,
  {runtime}: InRuntime,
): Promise<Pick<RunOptions, 'network' | 'links'>> {
  if (links.length > 0) return {network: network ?? 'bridge', links};
  if (network !== undefined) return {network};
  if (container === undefined) {
    throw new CoracleError(
      'ERR_INVALID_OPTION',
      'a dump joins the network of a container, and none is named',
      {
        hint: 'Name the container, or give links or a network.',
      },
    );
  }
  return {network: `container:${(await Container.get(container, runtime && {runtime})).id}`};
}

async function expectDone(
  container: RunningContainer,
  what: string,
  said: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  const exit = await container.exit;
  signal?.throwIfAborted();
  if (exit.kind === 'code' && exit.code === 0) return;
  const how = `the command ${describeExit(exit)}`;
  const lines = said.split('\n').filter(line => line.trim() !== '');
  throw new CoracleError('ERR_DUMP_FAILED', `${what}: ${[how, ...lines.slice(-3)].join('; ')}`, {
    details: {exit, stderr: said},
  });
}
