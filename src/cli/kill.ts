import {CoracleError} from '../errors.js';
import {parseSignal} from '../sdk/index.js';
import type {Call, Command, Context} from './command.js';
import {forEachName} from './for-each-name.js';

export const command: Command = {
  name: 'kill',
  usage: '[OPTIONS] CONTAINER [CONTAINER...]',
  summary: 'Kill one or more running containers',
  aliases: ['container kill'],
  flags: [
    {name: 'signal', short: 's', type: 'string', summary: 'Signal to send to the container (default KILL)'},
  ],
  least: 1,
  most: Number.POSITIVE_INFINITY,
  examples: ['coracle kill web', 'coracle kill --signal HUP web'],
  run,
};

async function run(call: Call, context: Context): Promise<number> {
  const signal = call.value('signal') || 'KILL';
  const sdk = await context.sdk();
  const failed = await forEachName(call.words, context, async name => {
    // A signal that is none is dockerd's first complaint, before it looks for the container.
    if (!/^\d+$/.test(signal) || Number(signal) === 0) parseSignal(signal);
    await inContext(`Cannot kill container: ${name}: `, async () => {
      parseSignal(signal);
      await sdk.kill(name, signal);
    });
  });
  return failed.length > 0 ? 1 : 0;
}

async function inContext(prefix: string, act: () => Promise<void>): Promise<void> {
  try {
    await act();
  } catch (error) {
    if (!(error instanceof CoracleError)) throw error;
    const {code, message, hint, details} = error;
    throw new CoracleError(code, prefix + message, {
      cause: error,
      details,
      ...(hint !== undefined && {hint}),
    });
  }
}
