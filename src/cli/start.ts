import {attend, Detached} from './attend.js';
import {ClientError} from './cli-error.js';
import type {Call, Command, Context} from './command.js';
import {parseDetachKeys} from './detach-keys.js';
import {forEachName} from './for-each-name.js';

export const command: Command = {
  name: 'start',
  usage: '[OPTIONS] CONTAINER [CONTAINER...]',
  summary: 'Start one or more stopped containers',
  aliases: ['container start'],
  flags: [
    {name: 'attach', short: 'a', summary: 'Attach STDOUT/STDERR and forward signals'},
    {name: 'interactive', short: 'i', summary: "Attach container's STDIN"},
    {name: 'detach-keys', type: 'string', summary: 'Override the key sequence for detaching a container'},
  ],
  least: 1,
  most: Number.POSITIVE_INFINITY,
  examples: [
    'coracle start web',
    'coracle start --attach job',
    'echo hello | coracle start --attach --interactive job',
  ],
  run,
};

async function run(call: Call, context: Context): Promise<number> {
  if (call.words.length > 1 && (call.has('attach') || call.has('interactive'))) {
    throw new ClientError('you cannot start and attach multiple containers at once');
  }
  const sdk = await context.sdk();
  if (!call.has('attach') && !call.has('interactive')) {
    const failed = await forEachName(call.words, context, async name => {
      for (const warning of await sdk.startDetached(name)) context.stderr.write(`WARNING: ${warning}\n`);
    });
    if (failed.length === 0) return 0;
    throw new ClientError(`Error: failed to start containers: ${failed.join(', ')}`);
  }
  const detachKeys = parseDetachKeys(call.value('detach-keys'));
  const container = await sdk.start(call.words[0]!, {stdin: call.has('interactive')});
  try {
    return await attend(container, context, {proxySignals: true, detachKeys});
  } catch (error) {
    if (error instanceof Detached) return 0;
    throw error;
  }
}
