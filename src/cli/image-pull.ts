import {familiarNameOf} from '../sdk/index.js';
import {ClientError} from './cli-error.js';
import type {Call, Command, Context} from './command.js';
import {layerLines, SILENT} from './layer-lines.js';
import {pullLines} from './pull-lines.js';
import {whileInterruptible} from './while-interruptible.js';

export const command: Command = {
  name: 'image pull',
  usage: '[OPTIONS] NAME[:TAG|@DIGEST]',
  summary: 'Download an image from a registry',
  aliases: ['pull'],
  flags: [
    {name: 'all-tags', short: 'a', summary: 'Download all tagged images in the repository'},
    {name: 'disable-content-trust', summary: '', hidden: true},
    {
      name: 'platform',
      type: 'string',
      summary: 'Set platform if server is multi-platform capable',
    },
    {name: 'quiet', short: 'q', summary: 'Suppress verbose output'},
  ],
  least: 1,
  most: 1,
  examples: [
    'coracle pull debian:12-slim',
    'coracle pull --platform linux/arm64 localhost:5000/tool:1.2',
    'coracle pull localhost:5000/tool@sha256:6f0b…',
  ],
  isLongWork: true,
  run,
};

async function run(call: Call, context: Context): Promise<number> {
  const [given = ''] = call.words;
  const {name, hasTag, reference} = familiarNameOf(given);
  const allTags = call.has('all-tags');
  const quiet = call.has('quiet');
  if (allTags && hasTag) throw new ClientError("tag can't be used with --all-tags/-a");
  if (!allTags && !hasTag && !quiet) context.stdout.write('Using default tag: latest\n');
  const platform = call.value('platform');
  const sdk = await context.sdk();
  const lines = pullLines(quiet ? SILENT : layerLines(context.stdout, context.now), allTags);
  await whileInterruptible(context, 'the pull', signal =>
    sdk.pullImage(given, {
      allTags,
      ...(platform && {platform}),
      onProgress: lines.onProgress,
      signal,
    }),
  );
  if (allTags) lines.end(name);
  context.stdout.write(`${allTags ? name : reference}\n`);
  return 0;
}
