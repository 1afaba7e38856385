import type {Call, Command, Context} from './command.js';
import {escapeControl} from './print-list.js';

export const command: Command = {
  name: 'diff',
  usage: 'CONTAINER',
  summary: "Inspect changes to files or directories on a container's filesystem",
  aliases: ['container diff'],
  flags: [],
  least: 1,
  most: 1,
  examples: ['coracle diff job'],
  run,
};

async function run(call: Call, {sdk, stdout}: Context): Promise<number> {
  const changes = await (await sdk()).diff(call.words[0]!);
  // A name comes from the container: an escape sequence in one must not reach a terminal.
  const shown = (path: string) => (stdout.isTTY ? escapeControl(path) : path);
  stdout.write(changes.map(({kind, path}) => `${kind} ${shown(path)}\n`).join(''));
  return 0;
}
