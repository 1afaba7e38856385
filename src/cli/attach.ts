import {attend, Detached} from './attend.js';
import {ClientError} from './cli-error.js';
import type {Call, Command, Context} from './command.js';
import {parseDetachKeys} from './detach-keys.js';

export const command: Command = {
  name: 'attach',
  usage: '[OPTIONS] CONTAINER',
  summary: 'Attach local standard input, output, and error streams to a running container',
  aliases: ['container attach'],
  flags: [
    {name: 'detach-keys', type: 'string', summary: 'Override the key sequence for detaching a container'},
    {name: 'no-stdin', summary: 'Do not attach STDIN'},
    {name: 'sig-proxy', summary: 'Proxy all received signals to the process (default true)'},
  ],
  least: 1,
  most: 1,
  examples: ['coracle attach web', 'coracle attach --no-stdin --sig-proxy=false web'],
  run,
};

async function run(call: Call, context: Context): Promise<number> {
  const detachKeys = parseDetachKeys(call.value('detach-keys'));
  const sdk = await context.sdk();
  const container = await sdk.attach(call.words[0]!, {stdin: !call.has('no-stdin')}).catch(error => {
    // Docker's client looks for itself whether there is something to attach to.
    const isStill = error.code === 'ERR_CONTAINER_NOT_RUNNING' || error.code === 'ERR_CONTAINER_PAUSED';
    throw isStill ? new ClientError(error.message, error.hint, error) : error;
  });
  try {
    return await attend(container, context, {
      proxySignals: call.value('sig-proxy') === undefined || call.has('sig-proxy'),
      detachKeys,
      redraws: true,
    });
  } catch (error) {
    if (!(error instanceof Detached)) throw error;
    throw new ClientError(error.message);
  }
}
