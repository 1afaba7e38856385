import {PROGRAM} from './cli-error.js';
import type {Call, Command, Context} from './command.js';
import {booleanFilter, type Filters, parseFilters} from './filters.js';
import {checkFilter} from './flag-checks.js';
import {humanSize} from './human-size.js';
import {goTime, humanDuration} from './human-time.js';
import {parseTimestamp} from './parse-timestamp.js';
import {printList} from './print-list.js';
import type {ImageListOptions, ImageSummary} from './sdk.js';

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

async function run(call: Call, {sdk, stdout, stderr, now}: Context): Promise<number> {
  const known = ['before', 'dangling', 'label', 'reference', 'since', 'until'];
  const filters = parseFilters(call.values('filter'), known);
  const [wanted] = call.words;
  const references = [...(filters.get('reference') ?? []), ...(wanted === undefined ? [] : [wanted])];
  const style = {truncate: !call.has('no-trunc'), now: now()};
  const digests = call.has('digests');
  const images = await (await sdk()).listImages(listOptions(filters, references, call.has('all'), now()));
  const rows = images.flatMap(image =>
    namesOf(image, digests).map(name => ({
      values: imageRow(image, name, style),
      labels: image.labels,
    })),
  );
  await printList('image', rows, call.value('format'), stdout, {quiet: call.has('quiet'), digests});
  if (rows.length === 0 && wanted !== undefined && SUBCOMMANDS.has(wanted)) {
    stderr.write(`\nNo images found matching "${wanted}": did you mean "${PROGRAM} image ${wanted}"?\n`);
  }
  return 0;
}

/** What somebody may have meant who writes `coracle images ls`. */
const SUBCOMMANDS = new Set([
  'build',
  'history',
  'import',
  'inspect',
  'list',
  'load',
  'ls',
  'prune',
  'pull',
  'push',
  'rm',
  'save',
  'tag',
]);

function listOptions(
  filters: Filters,
  references: readonly string[],
  all: boolean,
  nowMs: number,
): ImageListOptions {
  const last = (name: string) => filters.get(name)?.at(-1);
  const [before, since, until] = [last('before'), last('since'), last('until')];
  const dangling = booleanFilter(filters, 'dangling');
  return {
    all,
    labels: filters.get('label') ?? [],
    ...(references.length > 0 && {references}),
    ...(dangling !== undefined && {dangling}),
    ...(before !== undefined && {before}),
    ...(since !== undefined && {since}),
    ...(until !== undefined && {until: new Date(Number(parseTimestamp(until, nowMs) / 1_000_000n))}),
  };
}

export interface ImageName {
  readonly repository: string;
  readonly tag: string;
  readonly digest: string;
}

/** A line of `docker images`: its placeholders in the order of its JSON. */
export function imageRow(
  {id, created, sizeBytes}: ImageSummary,
  {repository, tag, digest}: ImageName,
  style: {truncate: boolean; now: number},
) {
  return {
    Containers: 'N/A',
    CreatedAt: created === undefined ? NEVER : goTime(new Date(created)),
    CreatedSince: created === undefined ? 'N/A' : `${humanDuration(style.now - Date.parse(created))} ago`,
    Digest: digest,
    ID: style.truncate ? id.replace(/^sha256:/, '').slice(0, 12) : id,
    Repository: repository,
    SharedSize: 'N/A',
    Size: humanSize(sizeBytes),
    Tag: tag,
    UniqueSize: 'N/A',
    VirtualSize: humanSize(sizeBytes, 4),
  };
}

/**
 * The lines that an image has: one for each tag, or, where digests are shown, for each pair of a tag and a digest of its
 * repository; a repository without tags has one line.
 */
export function namesOf(
  {references, digests}: Pick<ImageSummary, 'references' | 'digests'>,
  withDigests = false,
): readonly ImageName[] {
  const tags = references.map(splitTag);
  const known = digests.map(name => ({
    repository: name.slice(0, name.indexOf('@')),
    digest: name.slice(name.indexOf('@') + 1),
  }));
  const repositories = [...new Set([...tags, ...known].map(({repository}) => repository))];
  if (repositories.length === 0) return [{repository: NONE, tag: NONE, digest: NONE}];
  return repositories.flatMap(repository => {
    const own = tags.filter(each => each.repository === repository).map(({tag}) => tag);
    const ownDigests = known.filter(each => each.repository === repository).map(({digest}) => digest);
    const shown = withDigests && ownDigests.length > 0 ? ownDigests : [ownDigests[0] ?? NONE];
    return (own.length > 0 ? own : [NONE]).flatMap(tag =>
      shown.map(digest => ({repository, tag, digest: withDigests || own.length > 0 ? digest : NONE})),
    );
  });
}

function splitTag(reference: string): {readonly repository: string; readonly tag: string} {
  const colon = reference.indexOf(':', reference.lastIndexOf('/') + 1);
  return colon < 0
    ? {repository: reference, tag: NONE}
    : {repository: reference.slice(0, colon), tag: reference.slice(colon + 1)};
}
