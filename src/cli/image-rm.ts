import {CoracleError} from '../errors.js';
import {errorLine, printHint} from './cli-error.js';
import type {Call, Command, Context} from './command.js';

export const command: Command = {
  name: 'image rm',
  usage: '[OPTIONS] IMAGE [IMAGE...]',
  summary: 'Remove one or more images',
  aliases: ['rmi', 'image remove'],
  flags: [
    {name: 'force', short: 'f', summary: 'Force removal of the image'},
    {name: 'no-prune', summary: 'Do not delete untagged parents'},
    {
      name: 'platform',
      type: 'string',
      summary: '',
      unsupported: 'an image is of one platform, and goes as a whole',
    },
  ],
  least: 1,
  most: Number.POSITIVE_INFINITY,
  examples: ['coracle image rm node-worker', 'coracle rmi $(coracle images -q --filter dangling=true)'],
  run,
};

async function run(call: Call, {sdk, stdout, stderr}: Context): Promise<number> {
  const options = {force: call.has('force'), keepParents: call.has('no-prune')};
  const images = await sdk();
  let failed = false;
  for (const name of call.words) {
    try {
      const {untagged, deleted} = await images.removeImage(name, options);
      for (const reference of untagged) stdout.write(`Untagged: ${reference}\n`);
      for (const digest of deleted) stdout.write(`Deleted: ${digest}\n`);
    } catch (error) {
      const absent = error instanceof CoracleError && error.code === 'ERR_IMAGE_NOT_FOUND';
      failed ||= !(options.force && absent);
      stderr.write(`${daemonLine(error)}\n`);
      printHint(error, stderr);
    }
  }
  return failed ? 1 : 0;
}

/** Here it is dockerd that reads the reference. */
function daemonLine(error: unknown): string {
  const isReference = error instanceof CoracleError && error.code === 'ERR_INVALID_REFERENCE';
  return isReference ? `Error response from daemon: ${error.message}` : errorLine(error);
}
