import type {Arguments} from './inspect-arguments.js';
import type {InspectIo} from './inspect-io.js';
import {objects} from './inspect-objects.js';
import {compileFormat, describeError} from './inspect-output.js';

/** `ts-inspect --watch` and `--wait-for`: the objects are looked at again and again. */

interface Inspection {
  readonly stdout: string;
  readonly errors: readonly string[];
}

/** timeout(1)'s. */
const EXIT_TIMED_OUT = 124;

/** Prints at first and whenever the output is another; ends at the first failure, as when the object is removed. */
export async function watch(inspect: () => Promise<Inspection>, io: InspectIo): Promise<number> {
  let printed: string | undefined;
  do {
    const {stdout, errors} = await inspect();
    if (errors.length > 0) {
      io.stderr(`${errors.join('\n')}\n`);
      return 1;
    }
    if (stdout !== printed) io.stdout(stdout);
    printed = stdout;
  } while (await io.pause());
  return 0;
}

/**
 * Resolves to 0 as soon as the template renders `true` for each object, 1 when one does not exist, 124 after the
 * timeout. A template that fails on an object (a health that is not there yet) has not rendered `true` yet.
 * @throws TemplateError of kind 'parse'
 */
export async function waitFor(args: Arguments, io: InspectIo): Promise<number> {
  const template = args.waitFor!;
  const timeoutMs = args.timeout === undefined ? Number.POSITIVE_INFINITY : durationMs(args.timeout);
  if (timeoutMs === undefined) {
    io.stderr(`invalid duration: "${args.timeout}": must be a number and a unit, as in 500ms, 30s, 2m, 1h\n`);
    return 1;
  }
  const deadline = io.now() + timeoutMs;
  // Compiled for each look: what one look needed must not change the next.
  compileFormat(args, template);
  for (;;) {
    const missing: string[] = [];
    const open: string[] = [];
    const render = compileFormat(args, template);
    for await (const found of objects(args, io)) {
      if (found instanceof Error) missing.push(found.message);
      else {
        const answer = answerOf(() => render(found.kind, found.text));
        if (answer !== '"true"') open.push(`${found.name || (found.kind ?? 'the object')}: ${answer}`);
      }
    }
    if (missing.length > 0) {
      io.stderr(`${missing.join('\n')}\n`);
      return 1;
    }
    if (open.length === 0) return 0;
    if (io.now() >= deadline || !(await io.pause())) {
      io.stderr(`timed out after ${args.timeout}: ${open.join('; ')}\n`);
      return EXIT_TIMED_OUT;
    }
  }
}

function answerOf(render: () => string): string {
  try {
    return JSON.stringify(render().trim());
  } catch (error) {
    return describeError(error);
  }
}

const UNITS: Readonly<Record<string, number>> = {ms: 1, s: 1000, m: 60_000, h: 3_600_000};

function durationMs(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(text);
  return match === null ? undefined : Number(match[1]) * UNITS[match[2]!]!;
}
