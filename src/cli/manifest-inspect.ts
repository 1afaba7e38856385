import type {Call, Command, Context} from './command.js';

export const command: Command = {
  name: 'manifest inspect',
  usage: '[OPTIONS] MANIFEST',
  summary: 'Display an image manifest, or manifest list, of a registry, without pulling it',
  flags: [
    {name: 'insecure', summary: '', hidden: true},
    {name: 'verbose', short: 'v', summary: 'Output name and digest as well'},
  ],
  least: 1,
  most: 1,
  examples: ['coracle manifest inspect debian:12', 'coracle manifest inspect -v localhost:5000/tool:1.2'],
  run,
};

async function run(call: Call, {sdk, stdout}: Context): Promise<number> {
  const [reference = ''] = call.words;
  const {digest, bytes} = await (await sdk()).readManifest(reference);
  const manifest: unknown = JSON.parse(bytes.toString('utf8'));
  const shown = call.has('verbose') ? {Ref: reference, Digest: digest, Manifest: manifest} : manifest;
  stdout.write(`${JSON.stringify(shown, undefined, '\t')}\n`);
  return 0;
}
