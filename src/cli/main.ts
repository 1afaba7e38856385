import {CoracleError} from '../errors.js';
import {PROGRAM, reportError, UsageError} from './cli-error.js';
import type {Command, Context} from './command.js';
import {ALIASES, COMMANDS, GROUPS} from './commands.js';
import type {Sdk} from './sdk.js';

/** Flags before the command. */
interface Globals {
  debug: boolean;
  root: string | undefined;
  help: boolean;
  version: boolean;
}

/** What `main` needs besides the context of a command: how to open the runtime, and where faults are told in full. */
export interface World extends Omit<Context, 'sdk'> {
  readonly openSdk: (options: {readonly root?: string}) => Promise<Sdk>;
}

export {isEverythingWritten} from './standard-streams.js';

/** The `coracle` command. Sets the exit code. */
export async function main(): Promise<void> {
  const {processWorld} = await import('./process-world.js');
  process.exitCode = await runCommandLine(process.argv.slice(2), processWorld());
}

/** One command line, start to end. @returns the exit code */
export async function runCommandLine(argv: readonly string[], world: World): Promise<number> {
  let command: Command | undefined;
  let opened: Promise<Sdk> | undefined;
  let globals: Globals | undefined;
  try {
    const {globals: read, rest} = readGlobals(argv);
    globals = read;
    if (globals.version) return await runCommandLine(['version'], world);
    if (rest[0] === 'help') return await runCommandLine(helpOn(rest.slice(1)), world);
    const {name, spelled, words} = findCommand(rest);
    if (name === undefined || globals.help) return await printOverview(rest, world);
    command = (await COMMANDS[name]!.load()).command;
    const {parseCommandLine} = await import('./parse-command-line.js');
    const call = parseCommandLine({...command, name: spelled}, words);
    if (call === undefined) {
      const {commandHelp} = await import('./help-text.js');
      world.stdout.write(commandHelp(command, world.stdout.columns));
      return 0;
    }
    if (command.isLongWork) (await import('./optimize-late.js')).optimizeLate();
    const {root} = globals;
    const sdk = () => {
      opened ??= world.openSdk(root === undefined ? {} : {root});
      return opened;
    };
    return await command.run(call, Object.assign(Object.create(world) as World, {sdk})); // world has getters
  } catch (error) {
    const level = await logLevel(globals, world);
    if (level !== undefined) await logFailure(error, level);
    return reportError(error, command, world.stderr);
  } finally {
    // Closing kills what this process started and removes it: a failure to open was reported above.
    await opened?.then(
      sdk => sdk.close(),
      () => {},
    );
  }
}

function readGlobals(argv: readonly string[]): {globals: Globals; rest: readonly string[]} {
  const globals: Globals = {debug: false, root: undefined, help: false, version: false};
  let index = 0;
  for (; argv[index]?.startsWith('-'); index++) {
    const word = argv[index]!;
    if (word === '-D' || word === '--debug') globals.debug = true;
    else if (word === '--help' || word === '-h') globals.help = true;
    else if (word === '--version' || word === '-v') globals.version = true;
    else if (word.startsWith('--root=')) globals.root = word.slice('--root='.length);
    else if (word === '--root' && argv[index + 1] !== undefined) globals.root = argv[++index];
    else throw unknownGlobal(word);
  }
  return {globals, rest: argv.slice(index)};
}

function unknownGlobal(word: string): UsageError {
  const what = word === '--root' ? 'flag needs an argument: --root' : `unknown flag: ${word.split('=')[0]}`;
  return new UsageError(
    `${what}\n\nUsage:  ${PROGRAM} [OPTIONS] COMMAND [ARG...]\n\nRun '${PROGRAM} --help' for more information`,
    125,
  );
}

interface Chosen {
  /** undefined: none was named, the overview is wanted. */
  readonly name: string | undefined;
  /** As it was written, which is how messages call it: `rmi` for `image rm`. */
  readonly spelled: string;
  readonly words: readonly string[];
}

/** `help run` is `run --help`. @throws UsageError */
function helpOn(words: readonly string[]): readonly string[] {
  const [first] = words;
  const isKnown = [first, words.slice(0, 2).join(' ')].some(
    name => name !== undefined && [COMMANDS, ALIASES, GROUPS].some(names => Object.hasOwn(names, name)),
  );
  if (first !== undefined && !isKnown) throw new UsageError(`unknown help topic: ${words.join(' ')}`, 1);
  return [...words, '--help'];
}

/** The longest beginning that names a command: `image ls`, `images`. @throws UsageError when there is none */
function findCommand(words: readonly string[]): Chosen {
  for (const length of [2, 1]) {
    const spelled = words.slice(0, length).join(' ');
    const name = ALIASES[spelled] ?? spelled;
    if (words.length >= length && Object.hasOwn(COMMANDS, name)) {
      return {name, spelled, words: words.slice(length)};
    }
  }
  const [first, second] = words;
  if (first === undefined) return {name: undefined, spelled: '', words: []};
  if (!Object.hasOwn(GROUPS, first)) {
    throw new UsageError(
      `${PROGRAM}: unknown command: ${PROGRAM} ${first}\n\nRun '${PROGRAM} --help' for more information`,
      1,
    );
  }
  if (second === undefined || second === '--help') return {name: undefined, spelled: first, words: []};
  const group = `${PROGRAM} ${first}`;
  throw new UsageError(
    `${PROGRAM}: unknown command: ${group} ${second}\n\nUsage:  ${group} COMMAND\n\nRun '${group} --help' for more information`,
    1,
  );
}

async function printOverview([group]: readonly string[], {stdout}: World): Promise<number> {
  const {nameTable} = await import('./help-text.js');
  const summaries = Object.entries(COMMANDS).map(([name, {summary}]) => [name, summary] as const);
  if (group !== undefined && Object.hasOwn(GROUPS, group)) {
    const names = summaries
      .filter(([name]) => name.startsWith(`${group} `) || ALIASES[`${group} ${name}`] === name)
      .map(([name, summary]) => [name.replace(`${group} `, ''), summary] as const);
    stdout.write(
      `Usage:  ${PROGRAM} ${group} COMMAND\n\n${GROUPS[group]}\n\nCommands:\n${nameTable(names)}\n`,
    );
    stdout.write(`\nRun '${PROGRAM} ${group} COMMAND --help' for more information on a command.\n`);
    return 0;
  }
  stdout.write(`Usage:  ${PROGRAM} [OPTIONS] COMMAND

Isolated workers in milliseconds, without a daemon

Commands:
${nameTable(summaries.filter(([name]) => !name.startsWith('container ')))}

Global Options:
  -D, --debug       Tell on stderr what goes on; also CORACLE_LOG=debug
      --root path   Where images, containers and volumes are; also CORACLE_ROOT
  -v, --version     Print version information and quit

Run '${PROGRAM} COMMAND --help' for more information on a command.
`);
  return 0;
}

/** undefined = silence. The configuration file is asked last. */
async function logLevel(globals: Globals | undefined, {env}: World): Promise<string | undefined> {
  if (env['CORACLE_LOG']) return env['CORACLE_LOG'];
  if (globals?.debug) return 'debug';
  const {readConfigFile} = await import('../sdk/index.js');
  try {
    return readConfigFile(env).logLevel;
  } catch {
    return undefined; // it is what the command failed by, or did not come to
  }
}

/** The error with its stack and the chain of its causes: for people who debug, never by default. */
async function logFailure(error: unknown, level: string): Promise<void> {
  const {pino} = await import('pino');
  const logger = pino({name: PROGRAM, level}, pino.destination({dest: 2, sync: true}));
  logger.error(
    {err: error, ...(error instanceof CoracleError && {details: error.details})},
    'the command failed',
  );
}
