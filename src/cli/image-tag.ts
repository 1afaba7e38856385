import {CoracleError} from '../errors.js';
import {ClientError, errorLine} from './cli-error.js';
import type {Call, Command, Context} from './command.js';

export const command: Command = {
  name: 'image tag',
  usage: 'SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]',
  summary: 'Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE',
  aliases: ['tag'],
  flags: [],
  least: 2,
  most: 2,
  flagsFirst: true,
  examples: ['coracle tag app:latest registry.example:5000/app:1.0'],
  run,
};

async function run(call: Call, {sdk}: Context): Promise<number> {
  const [source = '', target = ''] = call.words;
  try {
    await (await sdk()).tagImage(source, target);
  } catch (error) {
    if (!(error instanceof CoracleError) || error.code !== 'ERR_INVALID_REFERENCE') throw error;
    throw new ClientError(inClientsWords(error), error.hint, error);
  }
  return 0;
}

/** Docker's client reads both names itself, dockerd refuses one that would read like an id. */
function inClientsWords(error: CoracleError): string {
  const {message, details} = error;
  const {reference} = details;
  if (reference !== undefined) {
    return `Error parsing reference: "${reference}" is not a valid repository/tag: ${message}`;
  }
  return errorLine(error);
}
