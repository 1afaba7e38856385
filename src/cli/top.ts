import type {Call, Command, Context} from './command.js';
import {escapeControl} from './print-list.js';

export const command: Command = {
  name: 'top',
  usage: 'CONTAINER [ps OPTIONS]',
  summary: 'Display the running processes of a container',
  aliases: ['container top'],
  flags: [],
  least: 1,
  most: Number.POSITIVE_INFINITY,
  flagsFirst: true,
  examples: ['coracle top web', 'coracle top web -o pid,user,comm', 'coracle top web aux'],
  run,
};

/** Docker's tab stops for this table. */
const MIN_WIDTH = 20;
const PADDING = 3;

async function run(call: Call, {sdk, stdout}: Context): Promise<number> {
  const [name = '', ...options] = call.words;
  const {titles, processes} = await (await sdk()).top(name, options);
  const rows = [titles, ...processes].map(row => row.map(escapeControl));
  const widths = titles.map((_, column) =>
    Math.max(MIN_WIDTH, ...rows.map(row => (row[column]?.length ?? 0) + PADDING)),
  );
  const last = titles.length - 1;
  for (const row of rows) {
    stdout.write(
      `${row.map((cell, column) => (column === last ? cell : cell.padEnd(widths[column]!))).join('')}\n`,
    );
  }
  return 0;
}
