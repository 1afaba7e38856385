import {CidFile} from './cid-file.js';
import {ClientError, OptionsError} from './cli-error.js';
import type {Call, Command, Context} from './command.js';
import {CONTAINER_FLAGS} from './container-flags.js';
import {containerOptions} from './container-options.js';
import {warnOfDiscardedPorts, warnOfLoopbackDns} from './network-warnings.js';
import {withImage} from './pull-missing.js';
import {whileInterruptible} from './while-interruptible.js';

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
  const options = await containerOptions(call, context).catch(error => {
    throw error instanceof ClientError ? new OptionsError(error.message, error.hint, error) : error;
  });
  warnOfLoopbackDns(options, context);
  using cidFile = new CidFile(call.value('cidfile'));
  const sdk = await context.sdk();
  const id = await whileInterruptible(context, 'the creation', signal =>
    withImage(call, context, signal, pull => sdk.create(image, {...options, ...pull})),
  );
  cidFile.write(id);
  warnOfDiscardedPorts(options, context);
  context.stdout.write(`${id}\n`);
  return 0;
}
