/** What a build prints: the classic builder's lines, or an object a line, or nothing but the id. */
import type {BuildProgress} from '../build/index.js';
import {CoracleError} from '../errors.js';
import type {Context, Output} from './command.js';

export interface BuildPrinter {
  tell(event: BuildProgress): void;
  done(id: string): void;
  /** Says where it failed; what failed is said by whoever catches it. */
  failed(error: unknown): void;
}

export function buildPrinter(
  mode: 'plain' | 'tty' | 'json' | 'quiet',
  {stdout, stderr}: Pick<Context, 'stdout' | 'stderr'>,
): BuildPrinter {
  if (mode === 'json') return jsonPrinter(stdout);
  if (mode === 'quiet') return quietPrinter(stdout, stderr);
  return linePrinter(stdout, stderr, mode === 'tty' || stdout.isTTY === true);
}

function jsonPrinter(stdout: Output): BuildPrinter {
  const write = (value: unknown) => stdout.write(`${JSON.stringify(value)}\n`);
  return {
    tell: event => {
      if (event.type !== 'output') return write(event);
      const {bytes, ...rest} = event;
      write({...rest, text: Buffer.from(bytes).toString()});
    },
    done: () => {},
    failed: error => {
      const {code, details} = error instanceof CoracleError ? error : {code: undefined, details: {}};
      write({type: 'failed', code, message: (error as Error).message, details});
    },
  };
}

/** What was held back is told if it fails. */
function quietPrinter(stdout: Output, stderr: Output): BuildPrinter {
  let held = '';
  const lines = linePrinter(
    {write: chunk => (held += Buffer.from(chunk as string).toString())},
    stderr,
    false,
  );
  return {
    tell: event => {
      lines.tell(event);
      if (held.length > HELD_CHARACTERS) held = held.slice(-HELD_CHARACTERS);
    },
    done: id => stdout.write(`${id}\n`),
    failed: error => {
      stderr.write(held);
      lines.failed(error);
    },
  };
}

const HELD_CHARACTERS = 1024 * 1024;

/** Stages that are built side by side are told one after the other, by the numbers of their steps. */
function linePrinter(stdout: Output, stderr: Output, isColoured: boolean): BuildPrinter {
  const waiting = new Map<number, BuildProgress[]>();
  let printedSteps = 0;
  let current: number | undefined;
  const print = (event: BuildProgress) => {
    stdout.write(lineOf(event, isColoured));
    if (event.type === 'step') printedSteps = event.step;
    if (event.type === 'ended') current = undefined;
  };
  const isNext = (event: BuildProgress) => event.type !== 'step' || event.step === printedSteps + 1;
  const printWaiting = (stage: number) => {
    const events = waiting.get(stage) ?? [];
    waiting.delete(stage);
    for (const event of events) print(event);
  };
  return {
    tell(event) {
      if (!('stage' in event)) return print(event);
      if (current === undefined && !waiting.has(event.stage) && isNext(event)) current = event.stage;
      if (event.stage !== current) {
        const events = waiting.get(event.stage) ?? [];
        waiting.set(event.stage, events);
        events.push(event);
        return;
      }
      print(event);
      // The next one, up to its end or to where it has come.
      while (current === undefined) {
        const found = [...waiting].find(([, [first]]) => isNext(first!));
        if (found === undefined) return;
        current = found[0];
        printWaiting(current);
      }
    },
    done: () => {},
    failed(error) {
      // Steps of later stages are not what it was about: one after the other they would not have begun.
      const last = error instanceof CoracleError ? error.details['stage'] : undefined;
      const told = [...waiting.keys()].sort((a, b) => a - b);
      for (const stage of told) if (typeof last !== 'number' || stage <= last) printWaiting(stage);
      if (!(error instanceof CoracleError)) return;
      const {file, line, instruction} = error.details;
      if (instruction !== undefined) stderr.write(`${file ?? 'Dockerfile'}:${line}: ${instruction}\n`);
    },
  };
}

function lineOf(event: BuildProgress, isColoured: boolean): string | Uint8Array {
  switch (event.type) {
    case 'step':
      return `Step ${event.step}/${event.steps} : ${event.instruction}\n`;
    case 'cached':
      return ' ---> Using cache\n';
    case 'running':
      return ` ---> Running in ${short(event.container)}\n`;
    case 'removed':
      return `Removing intermediate container ${short(event.container)}\n`;
    case 'triggers':
      return `# Executing ${event.count} build trigger${event.count === 1 ? '' : 's'}\n`;
    case 'made':
      return ` ---> ${short(event.id)}\n`;
    case 'output':
      if (event.stream === 'stdout' || !isColoured) return event.bytes;
      return Buffer.concat([RED, event.bytes, PLAIN]);
    case 'warning':
      return `${event.message}\n`;
    case 'built':
      return `Successfully built ${short(event.id)}\n`;
    case 'tagged':
      return `Successfully tagged ${event.reference}\n`;
    case 'ended':
      return '';
    default:
      return event satisfies never;
  }
}

function short(id: string): string {
  return id.replace(/^sha256:/, '').slice(0, 12);
}

/** As dockerd colours what a RUN writes to stderr. */
const RED = Buffer.from('\x1b[91m');
const PLAIN = Buffer.from('\x1b[0m');
