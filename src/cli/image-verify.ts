import {StreamError} from './cli-error.js';
import type {Call, Command, Context} from './command.js';
import {requiredFlag} from './required-flag.js';

export const command: Command = {
  name: 'image verify',
  usage: '--key FILE NAME[:TAG|@DIGEST]',
  summary: 'Say whether an image in its registry was signed with a key, and print what was signed',
  flags: [{name: 'key', type: 'file', summary: 'The public key, in PEM'}],
  least: 1,
  most: 1,
  examples: [
    'openssl pkey -in team.key -pubout -out team.pub',
    'coracle image verify --key team.pub localhost:5000/tool:1.2',
  ],
  run,
};

async function run(call: Call, {sdk, stdout, stderr}: Context): Promise<number> {
  const key = requiredFlag(call, 'key');
  const images = await sdk();
  const {digest, payloads} = await images.verifyImage(call.words[0]!, {key}).catch(error => {
    throw new StreamError(error);
  });
  stderr.write(`Verified ${digest}\n`);
  stdout.write(`${JSON.stringify(payloads)}\n`);
  return 0;
}
