import {backupExitCode, DONE, NOT_PROVEN} from './backup-exit-codes.js';
import {byteProgress} from './byte-progress.js';
import type {Call, Command, Context} from './command.js';
import {humanSize} from './human-size.js';
import {REPOSITORY_FLAGS, repositoryOf} from './repository-flags.js';
import {shortId} from './snapshots.js';
import {whileInterruptible} from './while-interruptible.js';

export const command: Command = {
  name: 'verify',
  usage: '[OPTIONS] [SNAPSHOT...]',
  summary: 'Read a backup repository again, and name what is damaged',
  flags: [
    ...REPOSITORY_FLAGS,
    {name: 'json', summary: 'Print what was found as JSON'},
    {name: 'quiet', short: 'q', summary: 'Print nothing but errors'},
    {
      name: 'share',
      type: 'percent',
      summary: 'Read this much of the data, what was not read for longest first (default 100%)',
      check: checkShare,
    },
  ],
  least: 0,
  most: Number.POSITIVE_INFINITY,
  examples: [
    'coracle verify --repo /backups/repo',
    'coracle verify --repo /backups/repo --share 15%   # each night: all of it in a week',
  ],
  exitCodeOf: backupExitCode,
  isLongWork: true,
  run,
};

function checkShare(text: string): void {
  const percent = Number(text.replace(/%$/, ''));
  if (!(percent > 0 && percent <= 100)) throw new Error('must be a percentage above 0, up to 100%');
}

async function run(call: Call, context: Context): Promise<number> {
  const {stdout, stderr} = context;
  const quiet = call.has('quiet') || call.has('json');
  const from = repositoryOf(call, context);
  const share = Number((call.value('share') ?? '100').replace(/%$/, '')) / 100;
  const sdk = await context.sdk();
  const snapshots = call.words.length === 0 ? undefined : await idsOf(call.words);
  const {onProgress, end} = byteProgress('verify', context, {quiet});
  const report = await whileInterruptible(context, 'the verification', signal =>
    sdk.verifyRepository(from, {share, snapshots, onProgress, signal}),
  ).finally(end);
  if (call.has('json')) stdout.write(`${JSON.stringify(report)}\n`);
  for (const {subject, what, snapshots: concerned} of call.has('json') ? [] : report.problems)
    stderr.write(
      `${subject}: ${what}${concerned.length > 0 ? `; needed by ${concerned.map(shortId).join(', ')}` : ''}\n`,
    );
  if (!quiet && report.problems.length === 0)
    stdout.write(`${report.snapshots} snapshots, ${humanSize(report.readBytes)} read, nothing is damaged\n`);
  return report.problems.length === 0 ? DONE : NOT_PROVEN;

  async function idsOf(words: readonly string[]): Promise<readonly string[]> {
    const {findSnapshot, unreadableById} = await import('../sidecar/index.js');
    const {snapshots: all, unreadable} = await sdk.snapshots(from);
    return words.map(word => (unreadableById(unreadable, word) ?? findSnapshot(all, {snapshot: word})).id);
  }
}
