import {CoracleError} from '../errors.js';
import type {Call, Command, Context} from './command.js';
import {CONTAINER_FLAGS} from './container-flags.js';
import {containerOptions} from './container-options.js';
import {withDefaultTag} from './with-default-tag.js';

export const command: Command = {
  name: 'create',
  usage: '[OPTIONS] IMAGE [COMMAND] [ARG...]',
  summary: 'Create a new container',
  aliases: ['container create'],
  flags: CONTAINER_FLAGS,
  least: 1,
  most: Number.POSITIVE_INFINITY,
  flagsFirst: true,
  examples: ['coracle create --name job host-shell sh -c "date; exit 3"', 'coracle start --attach job'],
  run,
};

async function run(call: Call, context: Context): Promise<number> {
  const image = call.words[0]!;
  const options = await containerOptions(call, context);
  const sdk = await context.sdk();
  try {
    context.stdout.write(`${await sdk.create(image, options)}\n`);
    return 0;
  } catch (error) {
    if (
      error instanceof CoracleError &&
      error.code === 'ERR_IMAGE_NOT_FOUND' &&
      call.value('pull') !== 'never'
    ) {
      context.stderr.write(`Unable to find image '${withDefaultTag(image)}' locally\n`);
    }
    throw error;
  }
}
