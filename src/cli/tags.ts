import {UsageError} from './cli-error.js';
import type {Call, Command, Context} from './command.js';
import {compareVersions} from './compare-versions.js';
import {checkInteger} from './flag-checks.js';
import {parseInteger} from './parse-number.js';

export const command: Command = {
  name: 'tags',
  usage: '[OPTIONS] REPOSITORY',
  summary: 'List the tags that a repository has in its registry',
  flags: [
    {
      name: 'filter',
      short: 'f',
      type: 'pattern',
      summary: 'Only tags that fit a pattern: * stands for anything, ? for one character',
    },
    {name: 'limit', type: 'int', summary: 'Only so many, of the end of the list', check: checkInteger},
    {
      name: 'sort',
      type: 'string',
      summary: 'By "semver" or "date" of creation, the newest last (default as the registry has them)',
    },
  ],
  least: 1,
  most: 1,
  examples: [
    "coracle tags --sort semver --filter '3.*' python",
    'coracle tags --sort date --limit 1 localhost:5000/tool',
  ],
  run,
};

async function run(call: Call, context: Context): Promise<number> {
  const order = call.value('sort');
  if (order !== undefined && order !== 'semver' && order !== 'date') {
    throw new UsageError(`invalid sort order: '${order}': must be one of "semver" or "date"`, 125);
  }
  const [repository = ''] = call.words;
  const sdk = await context.sdk();
  const patterns = call.values('filter').map(expressionOf);
  const all = await sdk.listTags(repository);
  const tags = all.filter(tag => patterns.every(pattern => pattern.test(tag)));
  const sorted =
    order === 'semver'
      ? tags.sort(compareVersions)
      : order === 'date'
        ? byDate(tags, await sdk.tagDates(repository, tags))
        : tags;
  const limit = parseInteger(call.value('limit') ?? '0');
  for (const tag of limit > 0 ? sorted.slice(-limit) : sorted) context.stdout.write(`${tag}\n`);
  return 0;
}

/** What does not say when it was made counts as old. */
function byDate(tags: readonly string[], dates: ReadonlyMap<string, string>): readonly string[] {
  const time = (tag: string) => Date.parse(dates.get(tag) ?? '') || 0;
  return [...tags].sort((a, b) => time(a) - time(b) || compareVersions(a, b));
}

function expressionOf(pattern: string): RegExp {
  const source = pattern
    .replaceAll(/[\\^$.+()|{}[\]]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  return new RegExp(`^${source}$`);
}
