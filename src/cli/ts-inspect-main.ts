import {inspectWithSdk} from './inspect-with-sdk.js';
import type {Sdk} from './sdk.js';
import {standardStream} from './standard-streams.js';

export {isEverythingWritten} from './standard-streams.js';

/** The `ts-inspect` command. Sets the exit code. */
export async function main(): Promise<void> {
  let opened: Promise<Sdk> | undefined;
  process.exitCode = await inspectWithSdk(process.argv.slice(2), {
    stdout: text => standardStream('stdout').write(text),
    stderr: text => standardStream('stderr').write(text),
    sdk: () => {
      opened ??= import('./open-sdk.js').then(({openSdk}) => openSdk({}));
      return opened;
    },
    archivedImages: async source => (await import('./open-sdk.js')).inspectArchivedImages(source),
    version: async () => (await import('./open-sdk.js')).VERSION,
  });
  await opened?.then(sdk => sdk.close());
}
