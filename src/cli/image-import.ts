import type {Call, Command, Context} from './command.js';
import {inputFrom} from './input-from.js';

export const command: Command = {
  name: 'image import',
  usage: '[OPTIONS] file|- [REPOSITORY[:TAG]]',
  summary: 'Import the contents from a tarball to create a filesystem image',
  aliases: ['import'],
  flags: [
    {name: 'change', short: 'c', type: 'list', summary: 'Apply Dockerfile instruction to the created image'},
    {name: 'message', short: 'm', type: 'string', summary: 'Set commit message for imported image'},
    {
      name: 'platform',
      type: 'string',
      summary: '',
      unsupported: "an imported image is of this host's platform",
    },
  ],
  least: 1,
  most: 2,
  examples: [
    'coracle image import rootfs.tar my/root:1',
    'tar -C rootfs -c . | coracle import --change "CMD [\\"sh\\"]" - my/root:1',
  ],
  run,
};

async function run(call: Call, context: Context): Promise<number> {
  const [path = '-', reference] = call.words;
  const message = call.value('message');
  const source = await inputFrom(path, context);
  const id = await (await context.sdk()).importImage(source, {
    changes: call.values('change'),
    ...(reference !== undefined && {reference}),
    ...(message !== undefined && {message}),
  });
  context.stdout.write(`${id}\n`);
  return 0;
}
