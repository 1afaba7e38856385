import {statSync} from 'node:fs';
import type {Readable} from 'node:stream';
import {byteProgress} from './byte-progress.js';
import {ClientError} from './cli-error.js';
import type {Call, Command, Context} from './command.js';
import {inputFrom} from './input-from.js';
import type {LoadedImage} from './sdk.js';
import {whileInterruptible} from './while-interruptible.js';

export const command: Command = {
  name: 'image load',
  usage: '[OPTIONS]',
  summary: 'Load an image from a tar archive or STDIN',
  aliases: ['load'],
  flags: [
    {name: 'input', short: 'i', type: 'string', summary: 'Read from tar archive file, instead of STDIN'},
    {
      name: 'platform',
      type: 'string',
      summary: 'Load only the given platform variant (e.g., "linux/amd64")',
    },
    {name: 'quiet', short: 'q', summary: 'Suppress the load output'},
  ],
  least: 0,
  most: 0,
  examples: [
    'coracle image load --input saved.tar',
    'docker save alpine | coracle load',
    'skopeo copy docker://alpine oci-archive:alpine.tar:alpine:3 && coracle load -i alpine.tar',
  ],
  isLongWork: true,
  run,
};

async function run(call: Call, context: Context): Promise<number> {
  const path = call.value('input') ?? '-';
  if (path === '-' && context.stdin.isTTY) {
    throw new ClientError('requested load from stdin, but stdin is empty', 'Name the archive: --input FILE.');
  }
  const platform = call.value('platform');
  const {onProgress, end} = byteProgress('load', context, {quiet: call.has('quiet')});
  const input = await inputFrom(path, context);
  const totalBytes = path === '-' ? undefined : statSync(path, {throwIfNoEntry: false})?.size;
  const tell = onProgress && ((bytes: number) => onProgress({phase: 'copy', bytes, totalBytes}));
  const source = counted(input, tell);
  const loaded: LoadedImage[] = [];
  const sdk = await context.sdk();
  await whileInterruptible(context, 'the load', signal =>
    sdk.loadImages(source, {
      ...(platform !== undefined && {platform}),
      onLoaded: image => loaded.push(image),
      signal,
    }),
  ).finally(() => {
    end();
    for (const image of loaded) context.stdout.write(report(image));
  });
  return 0;
}

async function* counted(source: Readable, tell: ((bytes: number) => void) | undefined) {
  let bytes = 0;
  for await (const chunk of source as AsyncIterable<Uint8Array>) {
    bytes += chunk.length;
    tell?.(bytes);
    yield chunk;
  }
}

function report({id, names, moved}: LoadedImage): string {
  const lines = names.flatMap(name => [
    ...moved
      .filter(each => each.name === name)
      .map(
        ({from}) => `The image ${name} already exists, renaming the old one with ID ${from} to empty string`,
      ),
    `Loaded image: ${name}`,
  ]);
  return `${(names.length > 0 ? lines : [`Loaded image ID: ${id}`]).join('\n')}\n`;
}
