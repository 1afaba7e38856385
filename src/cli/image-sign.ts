import {ask} from './ask.js';
import {StreamError} from './cli-error.js';
import type {Call, Command, Context} from './command.js';
import {requiredFlag} from './required-flag.js';

export const command: Command = {
  name: 'image sign',
  usage: '--key FILE NAME[:TAG|@DIGEST]',
  summary: 'Sign an image in its registry with a key of your own, as cosign does',
  flags: [
    {
      name: 'key',
      type: 'file',
      summary:
        'The private key: PEM, or as cosign encrypts it; passphrase from COSIGN_PASSWORD, or asked for',
    },
  ],
  least: 1,
  most: 1,
  examples: [
    'openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out team.key',
    'coracle image sign --key team.key localhost:5000/tool:1.2',
  ],
  run,
};

async function run(call: Call, context: Context): Promise<number> {
  const key = requiredFlag(call, 'key');
  const sdk = await context.sdk();
  const passphrase = await passphraseOf(key, context);
  const options = {key, ...(passphrase !== undefined && {passphrase})};
  const digest = await sdk.signImage(call.words[0]!, options).catch(error => {
    throw new StreamError(error);
  });
  context.stdout.write(`${digest}\n`);
  return 0;
}

async function passphraseOf(path: string, context: Context): Promise<string | undefined> {
  const known = context.env['COSIGN_PASSWORD'];
  if (known !== undefined || !context.stdin.isTTY) return known;
  const {readFile} = await import('node:fs/promises');
  const isEncrypted = /BEGIN ENCRYPTED /.test(await readFile(path, 'utf8').catch(() => ''));
  return isEncrypted ? ask(context, 'Enter password for private key: ', {echo: false}) : undefined;
}
