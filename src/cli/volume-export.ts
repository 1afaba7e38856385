import {ClientError} from './cli-error.js';
import type {Call, Command, Context} from './command.js';
import {openingError} from './opening-error.js';
import {writeBytes, writeFileWhole} from './write-bytes.js';

export const command: Command = {
  name: 'volume export',
  usage: '[OPTIONS] VOLUME',
  summary: "Export a volume's content as a tar archive",
  flags: [{name: 'output', short: 'o', type: 'string', summary: 'Write to a file, instead of STDOUT'}],
  least: 1,
  most: 1,
  examples: [
    'coracle volume export --output data.tar data',
    'coracle volume export data | zstd >data.tar.zst',
  ],
  isLongWork: true,
  run,
};

async function run(call: Call, context: Context): Promise<number> {
  const [name = ''] = call.words;
  const path = call.value('output');
  if (path === undefined && context.stdout.isTTY) {
    throw new ClientError('cowardly refusing to save to a terminal. Use the -o flag or redirect');
  }
  const archive = (await context.sdk()).exportVolume(name);
  if (path === undefined) {
    for await (const bytes of archive) await writeBytes(context.stdout, bytes);
    return 0;
  }
  await writeFileWhole(path, archive).catch(error => {
    throw error.syscall === 'open' ? openingError(path, error) : error;
  });
  return 0;
}
