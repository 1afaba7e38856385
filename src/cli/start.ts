import {CoracleError} from '../errors.js';
import {attend} from './attend.js';
import {ClientError} from './cli-error.js';
import type {Call, Command, Context} from './command.js';

const DETACHED_LATER = 'detached containers come with the next release: start --attach stays with one';

export const command: Command = {
  name: 'start',
  usage: '[OPTIONS] CONTAINER [CONTAINER...]',
  summary: 'Start one or more stopped containers',
  aliases: ['container start'],
  flags: [
    {name: 'attach', short: 'a', summary: 'Attach STDOUT/STDERR and forward signals'},
    {name: 'interactive', short: 'i', summary: "Attach container's STDIN"},
    {name: 'detach-keys', type: 'string', summary: '', unsupported: DETACHED_LATER},
  ],
  least: 1,
  most: Number.POSITIVE_INFINITY,
  examples: ['coracle start --attach job', 'echo hello | coracle start --attach --interactive job'],
  run,
};

async function run(call: Call, context: Context): Promise<number> {
  if (call.words.length > 1 && (call.has('attach') || call.has('interactive'))) {
    throw new ClientError('you cannot start and attach multiple containers at once');
  }
  // A container lives as long as the process that started it, so a start without attach would end it at once.
  if (!call.has('attach') && !call.has('interactive')) {
    throw new CoracleError('ERR_UNSUPPORTED_OPTION', DETACHED_LATER);
  }
  const sdk = await context.sdk();
  const container = await sdk.start(call.words[0]!, {stdin: call.has('interactive')});
  return await attend(container, context, {proxySignals: true});
}
