import type {ListRow} from '../inspect/index.js';
import type {Call, Command, Context, Output} from './command.js';
import {containerRow} from './container-row.js';
import {goJson} from './go-json.js';
import {humanSize} from './human-size.js';
import {imageRow, namesOf} from './image-ls.js';
import {printList} from './print-list.js';
import type {ContainerSummary, DiskUsage, ImageSummary, VolumeSummary} from './sdk.js';
import {volumeRow} from './volume-ls.js';

export const command: Command = {
  name: 'system df',
  usage: '[OPTIONS]',
  summary: 'Show disk usage',
  flags: [
    {
      name: 'format',
      type: 'string',
      summary: "Format output: 'table' (default), 'json', 'table TEMPLATE' or a Go template",
    },
    {name: 'verbose', short: 'v', summary: 'Show detailed information on space usage'},
  ],
  least: 0,
  most: 0,
  examples: ['coracle system df', 'coracle system df --verbose', 'coracle system df --format json'],
  run,
};

interface Found {
  readonly usage: DiskUsage;
  readonly images: readonly ImageSummary[];
  readonly containers: readonly ContainerSummary[];
  readonly volumes: readonly VolumeSummary[];
}

async function run(call: Call, {sdk, stdout, now}: Context): Promise<number> {
  const format = call.value('format');
  const opened = await sdk();
  const found: Found = {
    usage: await opened.diskUsage(),
    images: await opened.listImages(),
    containers: await opened.list({size: true}),
    volumes: await opened.listVolumes(),
  };
  if (call.has('verbose')) await printVerbose(found, format, now(), stdout);
  else
    await printList(
      'diskUsage',
      summaryRows(found).map(values => ({values, labels: {}})),
      format,
      stdout,
    );
  return 0;
}

/** A row per kind of thing, its placeholders in the order of Docker's JSON. */
function summaryRows({usage, containers}: Found): ListRow[] {
  const sum = (sizes: readonly number[]) => sizes.reduce((total, size) => total + size, 0);
  const usedImages = usage.images.filter(image => image.containers > 0);
  const uniqueInUse = sum(usedImages.map(({sizeBytes, sharedBytes}) => sizeBytes - sharedBytes));
  const idle = containers.filter(({state}) => state.status !== 'running');
  const writable = (list: readonly ContainerSummary[]) =>
    sum(list.map(({writableBytes = 0}) => writableBytes));
  const unused = usage.volumes.filter(volume => volume.containers === 0);
  const cache = usage.buildCache;
  return [
    row('Images', usage.images.length, usedImages.length, usage.layersBytes, usage.layersBytes - uniqueInUse),
    row(
      'Containers',
      containers.length,
      containers.length - idle.length,
      writable(containers),
      writable(idle),
    ),
    row(
      'Local Volumes',
      usage.volumes.length,
      usage.volumes.length - unused.length,
      sum(usage.volumes.map(({sizeBytes}) => sizeBytes)),
      sum(unused.map(({sizeBytes}) => sizeBytes)),
    ),
    row('Build Cache', cache?.layers ?? 0, 0, cache?.bytes ?? 0, cache?.reclaimableBytes ?? 0),
  ];
}

function row(type: string, total: number, active: number, size: number, reclaimable: number): ListRow {
  const share = size > 0 ? ` (${Math.trunc((reclaimable * 100) / size)}%)` : '';
  return {
    Active: String(active),
    Reclaimable: `${humanSize(reclaimable, 4)}${share}`,
    Size: humanSize(size, 4),
    TotalCount: String(total),
    Type: type,
  };
}

/** All is one document for the template, as in Docker: `{{range .Volumes}}{{.Name}} {{end}}`. @throws TemplateError */
async function rendered(document: unknown, format: string): Promise<string> {
  const {compileTemplate, guessDelims} = await import('../inspect/index.js');
  const template = format.replaceAll('\\t', '\t').replaceAll('\\n', '\n');
  return compileTemplate(template, {delims: guessDelims(template), missingKey: 'error'})(document);
}

const IMAGES =
  'table {{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}\t{{.SharedSize}}\t{{.UniqueSize}}\t{{.Containers}}';
const CONTAINERS =
  'table {{.ID}}\t{{.Image}}\t{{.Command}}\t{{.LocalVolumes}}\t{{.Size}}\t{{.RunningFor}}\t{{.Status}}\t{{.Names}}';
const VOLUMES = 'table {{.Name}}\t{{.Links}}\t{{.Size}}';

async function printVerbose(
  {usage, images, containers, volumes}: Found,
  format: string | undefined,
  now: number,
  stdout: Output,
): Promise<void> {
  const isTable = format === undefined || format === '' || format === 'table';
  const style = {truncate: isTable, now};
  const imageRows = images.flatMap(image => {
    const used = usage.images.find(({id}) => id === image.id);
    return namesOf(image).map(name => ({
      labels: image.labels,
      values: {
        ...imageRow(image, name, style),
        SharedSize: humanSize(used?.sharedBytes ?? 0, 4),
        UniqueSize: humanSize((used?.sizeBytes ?? 0) - (used?.sharedBytes ?? 0), 4),
        Containers: String(used?.containers ?? 0),
      },
    }));
  });
  const containerRows = containers.map(container => ({
    labels: container.labels,
    values: {...containerRow(container, style), Size: humanSize(container.writableBytes ?? 0)},
  }));
  const volumeRows = volumes.map(volume => {
    const used = usage.volumes.find(({name}) => name === volume.name);
    const values = {...volumeRow(volume), Links: String(used?.containers ?? 0)};
    return {labels: volume.labels, values: {...values, Size: humanSize(used?.sizeBytes ?? 0)}};
  });
  const rows = (list: readonly {readonly values: ListRow}[]) => list.map(({values}) => values);
  if (!isTable) {
    const document = {
      Images: rows(imageRows),
      Containers: rows(containerRows),
      Volumes: rows(volumeRows),
      BuildCache: [],
    };
    // A map of Go's would be sorted.
    const isWhole = format === 'json' || format === '{{json .}}';
    stdout.write(isWhole ? `${goJson(document)}\n` : await rendered(document, format));
    return;
  }
  stdout.write('Images space usage:\n\n');
  await printList('image', imageRows, IMAGES, stdout);
  stdout.write('\nContainers space usage:\n\n');
  await printList('container', containerRows, CONTAINERS, stdout);
  stdout.write('\nLocal Volumes space usage:\n\n');
  await printList('volume', volumeRows, VOLUMES, stdout);
  stdout.write(`\nBuild cache usage: ${humanSize(usage.buildCache?.bytes ?? 0)}\n\n`);
  stdout.write('CACHE ID   CACHE TYPE   SIZE      CREATED   LAST USED   USAGE     SHARED\n');
}
