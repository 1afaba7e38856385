import type {Call, Command, Context} from './command.js';
import {layerLines, SILENT} from './layer-lines.js';
import {shortId} from './pull-lines.js';
import {whileInterruptible} from './while-interruptible.js';

export const command: Command = {
  name: 'image copy',
  usage: '[OPTIONS] SOURCE TARGET',
  summary: 'Copy an image with all its platforms from one registry to another',
  flags: [{name: 'quiet', short: 'q', summary: 'Suppress verbose output'}],
  least: 2,
  most: 2,
  examples: [
    'coracle image copy debian:12 localhost:5000/debian:12',
    'coracle image copy localhost:5000/tool:rc3 localhost:5000/tool:1.0',
  ],
  isLongWork: true,
  run,
};

const STATUS = {copied: 'Copied', exists: 'Already exists', mounted: 'Mounted'} as const;

async function run(call: Call, context: Context): Promise<number> {
  const [from = '', to = ''] = call.words;
  const sdk = await context.sdk();
  const lines = call.has('quiet') ? SILENT : layerLines(context.stdout, context.now);
  const digest = await whileInterruptible(context, 'the copy', signal =>
    sdk.copyImage(from, to, {
      onProgress: ({digest: blob, status}) => lines.update(shortId(blob), STATUS[status]),
      signal,
    }),
  );
  context.stdout.write(`${digest}\n`);
  return 0;
}
