import type {Call, Command, Context} from './command.js';
import {inputFrom} from './input-from.js';

export const command: Command = {
  name: 'image import',
  usage: '[OPTIONS] file|URL|- [REPOSITORY[:TAG]]',
  summary: 'Import the contents from a tarball to create a filesystem image',
  aliases: ['import'],
  flags: [
    {name: 'change', short: 'c', type: 'list', summary: 'Apply Dockerfile instruction to the created image'},
    {name: 'message', short: 'm', type: 'string', summary: 'Set commit message for imported image'},
    {name: 'platform', type: 'string', summary: 'Set platform if server is multi-platform capable'},
  ],
  least: 1,
  most: 2,
  examples: [
    'coracle image import rootfs.tar my/root:1',
    'coracle import --platform linux/arm64 http://localhost/rootfs.tar.gz my/root:arm',
    'tar -C rootfs -c . | coracle import --change "CMD [\\"sh\\"]" - my/root:1',
  ],
  isLongWork: true,
  run,
};

async function run(call: Call, context: Context): Promise<number> {
  const [path = '-', reference] = call.words;
  const message = call.value('message');
  const platform = call.value('platform');
  const source = /^https?:\/\//.test(path) ? new URL(path) : await inputFrom(path, context);
  const id = await (await context.sdk()).importImage(source, {
    changes: call.values('change'),
    ...(reference !== undefined && {reference}),
    ...(message !== undefined && {message}),
    ...(platform !== undefined && {platform}),
  });
  context.stdout.write(`${id}\n`);
  return 0;
}
