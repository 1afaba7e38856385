/** A line for each layer: rewritten in place on a terminal, one below the other elsewhere. Docker's, byte for byte. */
import type {Output} from './command.js';
import {humanSize} from './human-size.js';

export interface LayerLines {
  /** Text of its own. */
  print(line: string): void;
  /** What is now with a layer; with `bytes` it is only told on a terminal. */
  update(id: string, status: string, progress?: {readonly bytes: number; readonly totalBytes: number}): void;
}

export function layerLines(output: Output, now: () => number): LayerLines {
  return output.isTTY ? terminalLines(output, now) : plainLines(output);
}

/** Nothing at all. */
export const SILENT: LayerLines = {print() {}, update() {}};

function plainLines(output: Output): LayerLines {
  return {
    print: line => output.write(`${line}\n`),
    update: (id, status, progress) => {
      if (progress === undefined) output.write(`${id}: ${status}\n`);
    },
  };
}

const REFRESH_MS = 100;

function terminalLines(output: Output, now: () => number): LayerLines {
  let lines: string[] = [];
  const drawn = new Map<string, number>();
  return {
    print(line) {
      lines = []; // what was drawn stays where it is
      output.write(`${line}\n`);
    },
    update(id, status, progress) {
      if (progress !== undefined && now() - (drawn.get(id) ?? 0) < REFRESH_MS) return;
      drawn.set(id, progress === undefined ? 0 : now());
      if (!lines.includes(id)) {
        lines.push(id);
        output.write('\n');
      }
      const up = lines.length - lines.indexOf(id);
      const bar = progress === undefined ? '' : progressBar(progress, output.columns ?? 80);
      output.write(`\u001b[${up}A\u001b[2K\r${id}: ${status} ${bar}\r\u001b[${up}B`);
    },
  };
}

/** docker/docker: pkg/jsonmessage. Half a column a percent, and only where there is room. */
function progressBar(
  {bytes, totalBytes}: {readonly bytes: number; readonly totalBytes: number},
  columns: number,
): string {
  const current = humanSize(bytes).padStart(8);
  if (totalBytes <= 0 || bytes > totalBytes) return current;
  const done = Math.min(50, Math.floor(Math.floor((bytes / totalBytes) * 100) / 2));
  const bar = columns > 110 ? `[${'='.repeat(done)}>${' '.repeat(50 - done)}] ` : '';
  return `${bar}${current}/${humanSize(totalBytes)}`;
}
