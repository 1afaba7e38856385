import {CoracleError} from '../errors.js';
import {reportError} from './cli-error.js';
import type {Call, Command, Context} from './command.js';

export const command: Command = {
  name: 'rename',
  usage: 'CONTAINER NEW_NAME',
  summary: 'Rename a container',
  aliases: ['container rename'],
  flags: [],
  least: 2,
  most: 2,
  examples: ['coracle rename web web-old'],
  run,
};

async function run(call: Call, {sdk, stderr}: Context): Promise<number> {
  const [container, name] = call.words.map(word => word.trim()) as [string, string];
  if (container === '' || name === '') {
    stderr.write('Error: Neither old nor new names may be empty\n');
    return 1;
  }
  try {
    await (await sdk()).rename(container, name);
    return 0;
  } catch (error) {
    reportError(inRenamesWords(error), undefined, stderr);
    stderr.write(`Error: failed to rename container named ${container}\n`);
    return 1;
  }
}

/** What dockerd says of a name that it does not take for a container that is there. */
function inRenamesWords(error: unknown): unknown {
  if (!(error instanceof CoracleError)) return error;
  const {code, message, hint, details} = error;
  const isName = code === 'ERR_NAME_IN_USE' || message.startsWith('Invalid container name (');
  if (!isName) return error;
  const said = message.replace('Invalid container name (', 'Invalid container name (/');
  return new CoracleError(code, `Error when allocating new name: ${said}`, {
    cause: error,
    details,
    ...(hint !== undefined && {hint}),
  });
}
