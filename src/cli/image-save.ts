import {ClientError} from './cli-error.js';
import type {Call, Command, Context} from './command.js';
import {saveTo} from './save-to.js';

const COMPRESSIONS = ['none', 'gzip', 'zstd'] as const;

export const command: Command = {
  name: 'image save',
  usage: '[OPTIONS] IMAGE [IMAGE...]',
  summary: 'Save one or more images to a tar archive (streamed to STDOUT by default)',
  aliases: ['save'],
  flags: [
    {
      name: 'compress',
      type: 'string',
      summary: 'Compress the archive: none (default), gzip or zstd; docker and podman load either',
      check: value => {
        if (!isCompression(value)) throw new Error('must be none, gzip or zstd');
      },
    },
    {name: 'output', short: 'o', type: 'string', summary: 'Write to a file, instead of STDOUT'},
    {
      name: 'platform',
      type: 'string',
      summary: 'Save only for the given platform (e.g., "linux/amd64")',
    },
  ],
  least: 1,
  most: Number.POSITIVE_INFINITY,
  examples: [
    'coracle save --output web.tar web:2',
    'coracle save --compress zstd -o shop.tar.zst web:2 db:1',
    'coracle save web:2 | docker load',
  ],
  isLongWork: true,
  run,
};

async function run(call: Call, context: Context): Promise<number> {
  const output = call.value('output');
  if (output === undefined && context.stdout.isTTY) {
    throw new ClientError('cowardly refusing to save to a terminal. Use the -o flag or redirect');
  }
  const platform = call.value('platform');
  const compression = call.value('compress');
  const archive = (await context.sdk()).saveImages(call.words, {
    ...(platform !== undefined && {platform}),
    ...(isCompression(compression) && {compression}),
  });
  await saveTo(output, archive, context, 'save image');
  return 0;
}

function isCompression(value: string | undefined): value is (typeof COMPRESSIONS)[number] {
  return COMPRESSIONS.some(each => each === value);
}
