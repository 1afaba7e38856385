import {familiarNameOf, type PushProgress} from '../sdk/index.js';
import {ClientError, StreamError} from './cli-error.js';
import type {Call, Command, Context} from './command.js';
import {type LayerLines, layerLines, SILENT} from './layer-lines.js';
import {shortId} from './pull-lines.js';
import {whileInterruptible} from './while-interruptible.js';

export const command: Command = {
  name: 'image push',
  usage: '[OPTIONS] NAME[:TAG]',
  summary: 'Upload an image to a registry',
  aliases: ['push'],
  flags: [
    {name: 'all-tags', short: 'a', summary: 'Push all tags of an image to the repository'},
    {name: 'disable-content-trust', summary: '', hidden: true},
    {name: 'quiet', short: 'q', summary: 'Suppress verbose output'},
  ],
  least: 1,
  most: 1,
  examples: [
    'coracle tag tool localhost:5000/tool:1.2 && coracle push localhost:5000/tool:1.2',
    'coracle push --all-tags localhost:5000/tool',
  ],
  isLongWork: true,
  run,
};

async function run(call: Call, context: Context): Promise<number> {
  const [given = ''] = call.words;
  const {hasTag, reference} = familiarNameOf(given);
  const allTags = call.has('all-tags');
  const quiet = call.has('quiet');
  if (allTags && hasTag) throw new ClientError("tag can't be used with --all-tags/-a");
  if (!allTags && !hasTag && !quiet) context.stdout.write('Using default tag: latest\n');
  const sdk = await context.sdk();
  const lines = quiet ? SILENT : layerLines(context.stdout, context.now);
  try {
    await whileInterruptible(context, 'the push', signal =>
      sdk.pushImage(given, {allTags, onProgress: progress => tell(lines, progress), signal}),
    );
  } catch (error) {
    throw new StreamError(error);
  }
  if (quiet) context.stdout.write(`${reference}\n`);
  return 0;
}

function tell(lines: LayerLines, progress: PushProgress): void {
  if (progress.kind === 'begin') {
    lines.print(`The push refers to repository [${progress.repository}]`);
  } else if (progress.kind === 'layer') {
    const {diffId, status, bytes, totalBytes, from} = progress;
    const amount = bytes === undefined || totalBytes === undefined ? undefined : {bytes, totalBytes};
    lines.update(shortId(diffId), status === 'mounted' ? `Mounted from ${from}` : STATUS[status], amount);
  } else {
    lines.print(`${progress.tag}: digest: ${progress.digest} size: ${progress.sizeBytes}`);
  }
}

const STATUS = {
  preparing: 'Preparing',
  waiting: 'Waiting',
  pushing: 'Pushing',
  pushed: 'Pushed',
  exists: 'Layer already exists',
} as const;
