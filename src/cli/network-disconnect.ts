import type {Call, Command, Context} from './command.js';

export const command: Command = {
  name: 'network disconnect',
  usage: '[OPTIONS] NETWORK CONTAINER',
  summary: 'Disconnect a container from a network',
  flags: [{name: 'force', short: 'f', summary: 'Force the container to disconnect from a network'}],
  least: 2,
  most: 2,
  examples: ['coracle network disconnect backend web'],
  run,
};

async function run(call: Call, {sdk}: Context): Promise<number> {
  const [network = '', container = ''] = call.words;
  await (await sdk()).disconnectNetwork(network, container, {force: call.has('force')});
  return 0;
}
