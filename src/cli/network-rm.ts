import {CoracleError} from '../errors.js';
import type {Call, Command, Context} from './command.js';
import {forEachName} from './for-each-name.js';

export const command: Command = {
  name: 'network rm',
  usage: 'NETWORK [NETWORK...]',
  summary: 'Remove one or more networks',
  aliases: ['network remove'],
  flags: [{name: 'force', short: 'f', summary: 'Do not error if the network does not exist'}],
  least: 1,
  most: Number.POSITIVE_INFINITY,
  examples: ['coracle network rm backend', 'coracle network rm --force backend frontend'],
  run,
};

async function run(call: Call, context: Context): Promise<number> {
  const sdk = await context.sdk();
  let names = call.words;
  if (call.has('force')) {
    const isThere = await Promise.all(names.map(name => sdk.inspectNetwork(name).then(() => true, isFound)));
    names = names.filter((_, i) => isThere[i]);
  }
  const failed = await forEachName(names, context, name => sdk.removeNetwork(name));
  if (failed.length === 0) return 0;
  context.stderr.write('exit status 1\n'); // the client's last word
  return 1;
}

/** What else is wrong with it the removal will say. */
function isFound(error: unknown): boolean {
  return !(error instanceof CoracleError && error.code === 'ERR_NETWORK_NOT_FOUND');
}
