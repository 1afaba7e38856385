import {CoracleError} from '../errors.js';
import type {Call, Command, Context} from './command.js';
import {forEachName} from './for-each-name.js';

export const command: Command = {
  name: 'rm',
  usage: '[OPTIONS] CONTAINER [CONTAINER...]',
  summary: 'Remove one or more containers',
  aliases: ['container rm', 'container remove'],
  flags: [
    {name: 'force', short: 'f', summary: 'Force the removal of a running container (uses SIGKILL)'},
    {name: 'volumes', short: 'v', summary: 'Remove anonymous volumes associated with the container'},
    {
      name: 'link',
      short: 'l',
      summary: '',
      unsupported: 'networks come with a later release',
      harmless: /^(0|f|false)$/i,
    },
  ],
  least: 1,
  most: Number.POSITIVE_INFINITY,
  examples: ['coracle rm job', 'coracle rm -f $(coracle ps -aq)'],
  run,
};

async function run(call: Call, context: Context): Promise<number> {
  const sdk = await context.sdk();
  const options = {force: call.has('force'), volumes: call.has('volumes')};
  let absent = 0;
  const failed = await forEachName(call.words, context, async name => {
    await sdk.remove(name.replace(/^\//, ''), options).catch(error => {
      if (error instanceof CoracleError && error.code === 'ERR_CONTAINER_NOT_FOUND') absent++;
      throw error;
    });
  });
  // `rm -f` of something that is not there says so and is content: it is gone, which is what was wanted.
  return failed.length > (options.force ? absent : 0) ? 1 : 0;
}
