import type {Call, Command, Context} from './command.js';

export const command: Command = {
  name: 'image from-host',
  usage: '[OPTIONS] NAME BINARY [BINARY...]',
  summary: "Make an image of this host's programs with the libraries and files that they need",
  flags: [
    {name: 'file', type: 'list', summary: 'A further file or directory to take, at the same path inside'},
  ],
  least: 2,
  most: Number.POSITIVE_INFINITY,
  examples: [
    'coracle image from-host node-worker "$(command -v node)"',
    'coracle run --rm node-worker "$(command -v node)" -p 6*7',
  ],
  isLongWork: true,
  run,
};

async function run(call: Call, {sdk, stdout}: Context): Promise<number> {
  const [name = '', ...binaries] = call.words;
  const id = await (await sdk()).imageFromHost({name, binaries, files: call.values('file')});
  stdout.write(`${id}\n`);
  return 0;
}
