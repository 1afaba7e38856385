import type {Call, Command, Context} from './command.js';

export const command: Command = {
  name: 'logout',
  usage: '[SERVER]',
  summary: 'Log out from a registry',
  flags: [],
  least: 0,
  most: 1,
  examples: ['coracle logout localhost:5000'],
  run,
};

async function run(call: Call, {sdk, stdout}: Context): Promise<number> {
  const server = await (await sdk()).logout(call.words[0]);
  stdout.write(`Removing login credentials for ${server}\n`);
  return 0;
}
