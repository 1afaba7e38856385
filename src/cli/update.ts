import type {UpdateOptions} from '../sdk/index.js';
import {ClientError} from './cli-error.js';
import type {Call, Command, Context, Flag} from './command.js';
import {CONTAINER_FLAGS} from './container-flags.js';
import {limitsOf, restartOf} from './container-options.js';
import {forEachName} from './for-each-name.js';
import {parseInteger} from './parse-number.js';

/** As `run` has them. */
const NAMES = new Set([
  'blkio-weight',
  'cpu-period',
  'cpu-quota',
  'cpu-shares',
  'cpus',
  'cpuset-cpus',
  'cpuset-mems',
  'memory',
  'memory-reservation',
  'memory-swap',
  'pids-limit',
  'restart',
]);
const ABSENT = new Set(['cpu-rt-period', 'cpu-rt-runtime', 'kernel-memory']);

const FLAGS: readonly Flag[] = CONTAINER_FLAGS.filter(({name}) => NAMES.has(name) || ABSENT.has(name)).map(
  flag =>
    flag.name === 'restart' ? {...flag, summary: 'Restart policy to apply when a container exits'} : flag,
);

export const command: Command = {
  name: 'update',
  usage: '[OPTIONS] CONTAINER [CONTAINER...]',
  summary: 'Update configuration of one or more containers',
  aliases: ['container update'],
  flags: FLAGS,
  least: 1,
  most: Number.POSITIVE_INFINITY,
  examples: [
    'coracle update --memory 512m --memory-swap 1g web',
    'coracle update --cpus 0.5 --pids-limit 100 web db',
    'coracle update --restart unless-stopped $(coracle ps -q)',
  ],
  run,
};

async function run(call: Call, context: Context): Promise<number> {
  if (![...NAMES].some(name => call.value(name) !== undefined))
    throw new ClientError('you must provide one or more flags when using this command');
  const restart = restartOf(call);
  const pids = call.value('pids-limit');
  const options: UpdateOptions = {
    limits: {...limitsOf(call), ...(pids !== undefined && {processes: parseInteger(pids)})},
    ...(restart && {restart}),
  };
  const sdk = await context.sdk();
  const warnings: string[] = [];
  const failed = await forEachName(call.words, context, async name => {
    warnings.push(...(await sdk.update(name, options)));
  });
  for (const warning of warnings) context.stdout.write(`${warning}\n`);
  return failed.length > 0 ? 1 : 0;
}
