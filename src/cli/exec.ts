import {CoracleError} from '../errors.js';
import type {ExecOptions} from '../sdk/index.js';
import {attend} from './attend.js';
import {ClientError} from './cli-error.js';
import type {Call, Command, Context} from './command.js';
import {environment} from './container-options.js';
import {parseDetachKeys} from './detach-keys.js';
import {checkEnv} from './flag-checks.js';
import type {LocalTerminal} from './local-terminal.js';
import type {RunningExec, Sdk} from './sdk.js';
import {UntilDetached} from './until-detached.js';

export const command: Command = {
  name: 'exec',
  usage: '[OPTIONS] CONTAINER COMMAND [ARG...]',
  summary: 'Execute a command in a running container',
  aliases: ['container exec'],
  flags: [
    {name: 'detach', short: 'd', summary: 'Detached mode: run command in the background'},
    {name: 'detach-keys', type: 'string', summary: 'Override the key sequence for detaching a container'},
    {name: 'env', short: 'e', type: 'list', summary: 'Set environment variables', check: checkEnv},
    {name: 'env-file', type: 'list', summary: 'Read in a file of environment variables'},
    {name: 'interactive', short: 'i', summary: 'Keep STDIN open even if not attached'},
    {name: 'privileged', summary: 'Give extended privileges to the command'},
    {name: 'tty', short: 't', summary: 'Allocate a pseudo-TTY'},
    {
      name: 'user',
      short: 'u',
      type: 'string',
      summary: 'Username or UID (format: "<name|uid>[:<group|gid>]")',
    },
    {name: 'workdir', short: 'w', type: 'string', summary: 'Working directory inside the container'},
  ],
  least: 2,
  most: Number.POSITIVE_INFINITY,
  flagsFirst: true,
  examples: [
    'coracle exec web ls -l /srv',
    'coracle exec -it web sh',
    'coracle exec -u nobody -w /tmp -e LANG=C web sort words',
    'coracle exec -d web sh -c "sleep 60; kill -HUP 1"',
  ],
  run,
};

async function run(call: Call, context: Context): Promise<number> {
  const [name = '', ...argv] = call.words;
  const detached = call.has('detach');
  const env = await environment(call, context);
  const sdk = await context.sdk();
  if (!detached) await checkTerminal(call, context, sdk, name);
  const keys = parseDetachKeys(call.value('detach-keys'), 'escape');
  const terminal = call.has('tty') && !detached;
  const local = terminal ? context.terminal() : undefined;
  const options: ExecOptions = {
    env,
    ...(call.value('workdir') && {workdir: call.value('workdir')!}),
    ...(call.value('user') && {user: call.value('user')!}),
    privileged: call.has('privileged'),
    stdin: call.has('interactive') && !detached ? 'pipe' : 'ignore',
    ...(terminal && {terminal: local?.size ?? {rows: 0, columns: 0}}),
    // Whoever sits at a terminal may leave.
    detached: detached || local !== undefined,
  };
  let running: RunningExec;
  try {
    running = await sdk.exec(name, argv, options);
  } catch (error) {
    if (error instanceof CoracleError && error.code === 'ERR_CONTAINER_PAUSED') throw paused(name, error);
    const said = inRuntimesWords(error);
    if (said === undefined) throw error;
    if (detached) throw new CoracleError(said.code, said.message, {cause: error});
    // dockerd has answered by then: what went wrong comes the way of the output.
    context.stdout.write(`${said.message}\r\n`);
    return said.exitCode;
  }
  if (detached) return 0;
  return await stay(running, context, local, keys);
}

/** Until it has ended, or the keys were typed: then it goes on without us. */
async function stay(
  running: RunningExec,
  context: Context,
  local: LocalTerminal | undefined,
  keys: Buffer,
): Promise<number> {
  const attended = {
    get stdin() {
      return running.stdin;
    },
    forward: running.forward.bind(running),
    exit: running.exit,
    settled: running.settled,
    warnings: [],
    kill: async () => {},
  };
  if (local === undefined) return await attend(attended, context, {proxySignals: false, what: 'command'});
  const typing = new UntilDetached(keys);
  const makeCooked = running.stdin === null ? () => {} : local.makeRaw();
  const stopListening = local.onResize(size => running.resize(size));
  try {
    const ended = attend(attended, context, {proxySignals: false, what: 'command', typing});
    const first = await Promise.race([ended, typing.detached]);
    if (first !== undefined) return first;
    ended.catch(() => {}); // it is nobody's any more
    running.leave();
  } finally {
    makeCooked();
    stopListening();
  }
  throw new ClientError('read escape sequence');
}

/** The container's absence is told before the terminal's. */
async function checkTerminal(call: Call, {stdin}: Context, sdk: Sdk, name: string): Promise<void> {
  if (!call.has('tty') || !call.has('interactive') || stdin.isTTY) return;
  await sdk.inspect(name, {size: false});
  throw new ClientError('the input device is not a TTY');
}

/** dockerd calls it as the user does. */
function paused(name: string, cause: CoracleError): CoracleError {
  return new CoracleError(cause.code, `Container ${name} is paused, unpause the container before exec`, {
    cause,
  });
}

interface Refusal {
  readonly code: string;
  readonly message: string;
  readonly exitCode: number;
}

/** What runc and dockerd say when a command could not be run; undefined for what they never came to. */
function inRuntimesWords(error: unknown): Refusal | undefined {
  if (!(error instanceof CoracleError)) return undefined;
  const {code, message} = error;
  const runtimes = (text: string) => `OCI runtime exec failed: exec failed: ${text}: unknown`;
  switch (code) {
    case 'ERR_COMMAND_NOT_FOUND':
      return {code, message: runtimes(UNABLE + message), exitCode: 127};
    case 'ERR_COMMAND_NOT_EXECUTABLE':
      return {code, message: runtimes(UNABLE + message), exitCode: 126};
    case 'ERR_EXEC_FAILED': {
      const advice = message.endsWith('not a directory') ? NOT_A_DIRECTORY : '';
      return {code, message: runtimes(UNABLE + message) + advice, exitCode: 126};
    }
    case 'ERR_USER_UNKNOWN':
      return {code, message, exitCode: 126};
    case 'ERR_INVALID_OPTION': {
      const isWorkdir = error.details['option'] === 'workdir';
      if (isWorkdir) return {code, message: runtimes('Cwd must be an absolute path'), exitCode: 126};
      return error.details['option'] === 'user' ? {code, message, exitCode: 126} : undefined;
    }
    default:
      return undefined;
  }
}

const UNABLE = 'unable to start container process: ';
const NOT_A_DIRECTORY =
  ': Are you trying to mount a directory onto a file (or vice-versa)? Check if the specified host path exists and is the expected type';
