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

/** Stages that are built side by side are told one after the other: all of one, then what another one has done meanwhile. */
function linePrinter(stdout: Output, stderr: Output, isColoured: boolean): BuildPrinter {
  const waiting = new Map<number, BuildProgress[]>();
  const print = (event: BuildProgress) => void stdout.write(lineOf(event, isColoured));
  let current: number | undefined;
  /** The next of those that wait, up to its end or to where it has come. */
  const next = (): void => {
    const [first] = [...waiting.keys()].sort((a, b) => a - b);
    current = first;
    if (first === undefined) return;
    const events = waiting.get(first)!;
    waiting.delete(first);
    for (const event of events) print(event);
    if (events.at(-1)?.type === 'ended') next();
  };
  return {
    tell(event) {
      if (!('stage' in event)) {
        print(event);
        return;
      }
      current ??= event.stage;
      if (event.stage !== current) {
        const events = waiting.get(event.stage) ?? [];
        waiting.set(event.stage, events);
        events.push(event);
        return;
      }
      print(event);
      if (event.type === 'ended') next();
    },
    done: () => {},
    failed(error) {
      while (waiting.size > 0) next();
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
