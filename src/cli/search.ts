import {UsageError} from './cli-error.js';
import type {Call, Command, Context} from './command.js';
import {booleanFilter, parseFilters} from './filters.js';
import {checkFilter, checkInteger} from './flag-checks.js';
import {parseInteger} from './parse-number.js';
import {printList} from './print-list.js';

export const command: Command = {
  name: 'search',
  usage: '[OPTIONS] TERM',
  summary: 'Search a registry for images',
  flags: [
    {
      name: 'filter',
      short: 'f',
      type: 'filter',
      summary: 'Filter output based on conditions provided',
      check: checkFilter,
    },
    {name: 'format', type: 'string', summary: 'Pretty-print search using a Go template'},
    {name: 'limit', type: 'int', summary: 'Max number of search results', check: checkInteger},
    {name: 'no-trunc', summary: "Don't truncate output"},
  ],
  least: 1,
  most: 1,
  examples: ['coracle search --filter stars=100 nginx', 'coracle search registry.example/tool'],
  run,
};

const DESCRIPTION_LENGTH = 45;

async function run(call: Call, {sdk, stdout}: Context): Promise<number> {
  const filters = parseFilters(call.values('filter'), ['is-automated', 'is-official', 'stars']);
  const limit = parseInteger(call.value('limit') ?? '0') || 25;
  const official = booleanFilter(filters, 'is-official');
  const automated = booleanFilter(filters, 'is-automated');
  const least = Math.max(0, ...(filters.get('stars') ?? []).map(starsOf));
  const found = await (await sdk()).searchImages(call.words[0]!, {limit});
  const rows = found
    .filter(
      ({stars, isOfficial, isAutomated}) =>
        stars >= least &&
        (official === undefined || official === isOfficial) &&
        (automated === undefined || automated === isAutomated),
    )
    .map(({name, description, stars, isOfficial}) => ({
      values: {
        Name: name,
        Description: call.has('no-trunc') ? description : shortened(description),
        StarCount: String(stars),
        IsOfficial: isOfficial ? 'true' : 'false',
      },
      labels: {},
    }));
  await printList('search', rows, call.value('format'), stdout);
  return 0;
}

function starsOf(text: string): number {
  if (/^\d+$/.test(text)) return Number(text);
  throw new UsageError(`invalid filter 'stars=${text}'`, 1);
}

function shortened(text: string): string {
  const characters = [...text];
  return characters.length > DESCRIPTION_LENGTH
    ? `${characters.slice(0, DESCRIPTION_LENGTH - 1).join('')}…`
    : text;
}
