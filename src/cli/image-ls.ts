import type {Call, Command, Context} from './command.js';
import {anyOf, booleanFilter, type Filters, hasLabels, parseFilters} from './filters.js';
import {checkFilter} from './flag-checks.js';
import {humanSize} from './human-size.js';
import {goTime, humanDuration} from './human-time.js';
import {printList} from './print-list.js';
import type {ImageSummary} from './sdk.js';

export const command: Command = {
  name: 'image ls',
  usage: '[OPTIONS] [REPOSITORY[:TAG]]',
  summary: 'List images',
  aliases: ['images', 'image list'],
  flags: [
    {name: 'all', short: 'a', summary: 'Show all images'},
    {name: 'digests', summary: 'Show digests'},
    {
      name: 'filter',
      short: 'f',
      type: 'filter',
      summary: 'Filter output based on conditions provided',
      check: checkFilter,
    },
    {
      name: 'format',
      type: 'string',
      summary: "Format output: 'table' (default), 'json', 'table TEMPLATE' or a Go template",
    },
    {name: 'no-trunc', summary: "Don't truncate output"},
    {name: 'quiet', short: 'q', summary: 'Only show image IDs'},
  ],
  least: 0,
  most: 1,
  examples: ['coracle image ls', 'coracle images --filter dangling=true -q'],
  run,
};

const NONE = '<none>';
/** Go's zero time, which Docker shows for an image that does not say when it was made. */
const NEVER = '0001-01-01 00:00:00 +0000 UTC';

async function run(call: Call, {sdk, stdout, now}: Context): Promise<number> {
  const filters = parseFilters(call.values('filter'), ['before', 'dangling', 'label', 'reference', 'since']);
  const all = [...(await (await sdk()).listImages())].sort((a, b) => timeOf(b) - timeOf(a));
  const [wanted] = call.words;
  const truncate = !call.has('no-trunc');
  const rows = all
    .filter(image => passes(image, filters, all))
    .flatMap(image => namesOf(image).map(name => ({image, name})))
    .filter(({name}) => wanted === undefined || fits(wanted, name))
    .filter(({name}) => anyOf(filters, 'reference', pattern => fits(pattern, name)))
    .map(({image, name}) => ({values: imageRow(image, name, {truncate, now: now()}), labels: image.labels}));

  const style = {quiet: call.has('quiet'), digests: call.has('digests')};
  await printList('image', rows, call.value('format'), stdout, style);
  return 0;
}

function timeOf({created}: ImageSummary): number {
  return created === undefined ? 0 : Date.parse(created);
}

export interface ImageName {
  readonly repository: string;
  readonly tag: string;
}

/** A line of `docker images`: its placeholders in the order of its JSON. */
export function imageRow(
  {id, created, digests, sizeBytes}: ImageSummary,
  {repository, tag}: ImageName,
  style: {truncate: boolean; now: number},
) {
  const digest = digests.find(text => text.startsWith(`${repository}@`));
  return {
    Containers: 'N/A',
    CreatedAt: created === undefined ? NEVER : goTime(new Date(created)),
    CreatedSince: created === undefined ? 'N/A' : `${humanDuration(style.now - Date.parse(created))} ago`,
    Digest: digest?.slice(digest.indexOf('@') + 1) ?? NONE,
    ID: style.truncate ? id.replace(/^sha256:/, '').slice(0, 12) : id,
    Repository: repository,
    SharedSize: 'N/A',
    Size: humanSize(sizeBytes),
    Tag: tag,
    UniqueSize: 'N/A',
    VirtualSize: humanSize(sizeBytes, 4),
  };
}

export function namesOf({references}: ImageSummary): readonly ImageName[] {
  if (references.length === 0) return [{repository: NONE, tag: NONE}];
  return references.toSorted().map(reference => {
    const colon = reference.indexOf(':', reference.lastIndexOf('/') + 1);
    return colon < 0
      ? {repository: reference, tag: NONE}
      : {repository: reference.slice(0, colon), tag: reference.slice(colon + 1)};
  });
}

/** Go's path.Match on the repository, with or without the tag: `*` stops at a slash. */
function fits(pattern: string, {repository, tag}: ImageName): boolean {
  const source = pattern
    .replaceAll(/[.+^${}()|\\]/g, '\\$&')
    .replaceAll('*', '[^/]*')
    .replaceAll('?', '[^/]');
  const expression = new RegExp(`^${source}$`);
  return expression.test(repository) || expression.test(`${repository}:${tag}`);
}

function passes(image: ImageSummary, filters: Filters, all: readonly ImageSummary[]): boolean {
  const dangling = booleanFilter(filters, 'dangling');
  const position = (wanted: string) =>
    all.findIndex(
      ({id, references}) =>
        id.startsWith(wanted) || id.startsWith(`sha256:${wanted}`) || references.includes(wanted),
    );
  const own = all.indexOf(image);
  return (
    (dangling === undefined || dangling === (image.references.length === 0)) &&
    anyOf(filters, 'before', value => own > position(value)) &&
    anyOf(filters, 'since', value => own < position(value)) &&
    hasLabels(filters, image.labels)
  );
}
