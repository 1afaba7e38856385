import {type Arguments, checkArguments, parseArguments, SEE_HELP, USAGE} from './inspect-arguments.js';
import type {InspectIo} from './inspect-io.js';
import {objects} from './inspect-objects.js';
import {describeError, isTemplateError, type Output, prepareOutput} from './inspect-output.js';

export type {InspectIo} from './inspect-io.js';

/** sysexits' EX_USAGE: what Docker leaves with when a template does not parse. */
const EXIT_BAD_TEMPLATE = 64;
const EXIT_BAD_FLAG = 125;

/** `ts-inspect`: everything of `docker inspect` but the objects themselves. Resolves to the exit code. */
export async function main(argv: readonly string[], io: InspectIo): Promise<number> {
  if (argv[0] === '__complete') {
    const {complete} = await import('./inspect-extras.js');
    return complete(argv.slice(1), io);
  }
  const args = parseArguments(argv);
  if (typeof args === 'string') {
    io.stderr(`${args}\n\n${USAGE}\n\n${SEE_HELP}\n`);
    return EXIT_BAD_FLAG;
  }
  if (args.help) {
    const {HELP} = await import('./inspect-extras.js');
    io.stdout(HELP.trimStart());
    return 0;
  }
  if (args.version) {
    io.stdout(`ts-inspect ${await io.version}\n`);
    return 0;
  }
  if (args.completion !== undefined) {
    const {printScript} = await import('./inspect-extras.js');
    return printScript(args.completion, io);
  }
  const problem = checkArguments(args);
  if (problem !== undefined) {
    io.stderr(`${problem}\n`);
    return 1;
  }
  try {
    if (args.explain) {
      const {explain} = await import('./inspect-extras.js');
      return await explain(args, io);
    }
    const newOutput = await prepareOutput(args, io);
    if (!args.watch && args.waitFor === undefined) return print(await inspect(args, io, newOutput()), io);
    const {waitFor, watch} = await import('./inspect-extras.js');
    const once = () => inspect(args, io, newOutput());
    if (args.watch) return await watch(once, io);
    const exitCode = await waitFor(args, io);
    const isToPrint = args.format !== '' || args.jsonpath !== undefined || args.template !== undefined;
    return exitCode === 0 && isToPrint ? print(await once(), io) : exitCode;
  } catch (error) {
    if (!isAboutOutput(error)) throw error;
    io.stderr(`${describeError(error)}\n`);
    return EXIT_BAD_TEMPLATE;
  }
}

/** What --format, --jsonpath or --template say cannot be done, with words for the user. */
const isAboutOutput = (error: unknown): boolean =>
  isTemplateError(error) || (error as {code?: unknown}).code === 'ERR_INSPECT_OUTPUT';

interface Inspection {
  readonly stdout: string;
  readonly errors: readonly string[];
}

async function inspect(args: Arguments, io: InspectIo, output: Output): Promise<Inspection> {
  const errors: string[] = [];
  for await (const found of objects(args, io)) {
    try {
      if (found instanceof Error) throw found;
      output.add(found);
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      errors.push(describeError(error));
    }
  }
  return {stdout: output.finish(), errors};
}

function print({stdout, errors}: Inspection, io: InspectIo): number {
  io.stdout(stdout);
  if (errors.length === 0) return 0;
  io.stderr(`${errors.join('\n')}\n`);
  return 1;
}
