import {CoracleError} from '../errors.js';
import type {InspectTemplate, ObjectKind} from '../inspect/index.js';
import {ClientError, errorLine, printHint, UsageError} from './cli-error.js';
import type {Call, Command, Context, Flag} from './command.js';
import {goJson, rawJson} from './go-json.js';
import type {Sdk} from './sdk.js';

const KINDS = [
  'config',
  'container',
  'image',
  'network',
  'node',
  'plugin',
  'secret',
  'service',
  'task',
  'volume',
];
/** sysexits(3) EX_USAGE: what Docker ends with when a template cannot be parsed. */
const EXIT_BAD_TEMPLATE = 64;

export const FORMAT_FLAG: Flag = {
  name: 'format',
  short: 'f',
  type: 'string',
  summary: "Format output: 'json' on one line, or a Go template",
};

/** What `ts-inspect` has beyond Docker's inspect: it does the work then. */
const MORE_FLAGS: readonly Flag[] = [
  {name: 'compat', type: 'string', summary: 'Fields of which Docker release: 20.10, 24, 28, 29'},
  {name: 'delims', type: 'string', summary: "Delimiters of the template, as in '[[,]]'"},
  {name: 'explain', summary: 'Print how the template is parsed, and the nearest names for unknown fields'},
  {name: 'jsonpath', type: 'string', summary: 'Print what a JSONPath finds, a value on each line'},
  {name: 'template', type: 'string', summary: "Print a report: 'text', 'html', or a Handlebars file"},
  {name: 'timeout', type: 'duration', summary: 'How long --wait-for waits, as in 30s (default: for ever)'},
  {name: 'wait-for', type: 'string', summary: "Exit as soon as this template renders 'true'"},
  {name: 'watch', summary: 'Print again whenever an object has changed, until interrupted'},
];

export const command: Command = {
  name: 'inspect',
  usage: '[OPTIONS] NAME|ID [NAME|ID...]',
  summary: 'Return low-level information on containers, images, networks and volumes',
  flags: [
    FORMAT_FLAG,
    {name: 'size', short: 's', summary: 'Display total file sizes if the type is container'},
    {name: 'type', type: 'string', summary: 'Only inspect objects of the given type'},
    ...MORE_FLAGS,
  ],
  least: 1,
  most: Number.POSITIVE_INFINITY,
  examples: [
    'coracle inspect web',
    "coracle inspect --format '{{.State.Status}}' web",
    'coracle inspect --type image hello-world',
    'coracle inspect --wait-for \'{{eq .State.Status "exited"}}\' --timeout 30s job',
  ],
  run: (call, context) => {
    const type = wantedType(call);
    return wantsMore(call) ? inspectMore(call, context) : inspect(call, context, type);
  },
};

const wantsMore = (call: Call): boolean =>
  MORE_FLAGS.some(({name}) => call.has(name)) || /^(?:jsonl|pretty)$/.test(call.value('format') ?? '');

async function inspectMore(call: Call, {sdk, stdout, stderr}: Context): Promise<number> {
  const {inspectWithSdk} = await import('./inspect-with-sdk.js');
  const argv = command.flags.flatMap(({name, type}) => {
    if (!call.has(name)) return [];
    return [type === undefined ? `--${name}` : `--${name}=${call.value(name)}`];
  });
  return inspectWithSdk([...argv, '--', ...call.words], {
    stdout: text => stdout.write(text),
    stderr: text => stderr.write(text),
    sdk,
    archivedImages: async source => (await import('../sdk/index.js')).inspectArchivedImages(source),
    version: async () => (await import('../sdk/index.js')).VERSION,
  });
}

interface Found {
  readonly kind: ObjectKind;
  readonly document: unknown;
}

/** `inspect` of one kind of object: `volume inspect`; or of the first kind that has the name. */
export async function inspect(
  call: Call,
  {sdk, stdout, stderr}: Context,
  type: string | undefined,
  {fallback = true}: {readonly fallback?: boolean} = {},
): Promise<number> {
  const format = call.value('format') ?? '';
  const template = format === '' || format === 'json' ? undefined : await compile(format, fallback);
  const found: Found[] = [];
  const errors: unknown[] = [];
  for (const name of call.words) {
    await find(await sdk(), name, type, call.has('size')).then(
      object => found.push(object),
      error => errors.push(error),
    );
  }
  const documents = found.map(({document}) => document);
  if (template !== undefined) stdout.write(rendered(found, template, errors));
  else {
    // docker's volume inspect decodes what dockerd said, and encodes it again.
    const json = fallback ? rawJson : goJson;
    stdout.write(`${json(documents, format === 'json' || found.length === 0 ? undefined : '    ')}\n`);
  }
  for (const error of errors) {
    stderr.write(`${error instanceof ClientError ? error.message : errorLine(error)}\n`);
    printHint(error, stderr);
  }
  return errors.length > 0 ? 1 : 0;
}

async function compile(format: string, fallback: boolean): Promise<InspectTemplate> {
  const {compileInspect, guessDelims, TemplateError} = await import('../inspect/index.js');
  try {
    return compileInspect(format, {delims: guessDelims(format), fallback, oneCommand: true});
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error;
    throw new UsageError(`template parsing error: ${error.message}`, EXIT_BAD_TEMPLATE);
  }
}

/** One line per object; an empty one when there is none, as in Docker. */
function rendered(found: readonly Found[], template: InspectTemplate, errors: unknown[]): string {
  let text = '';
  for (const {kind, document} of found) {
    try {
      text += `${template(kind, goJson(document))}\n`;
    } catch (error) {
      errors.push(new ClientError(`template parsing error: ${(error as Error).message}`));
    }
  }
  return text === '' ? '\n' : text;
}

function wantedType(call: Call): string | undefined {
  const type = call.value('type');
  if (type === undefined) return undefined;
  const list = KINDS.map(kind => JSON.stringify(kind)).join(', ');
  if (type === '') throw new ClientError(`type is empty: must be one of ${list}`);
  if (!KINDS.includes(type))
    throw new ClientError(`unknown type: ${JSON.stringify(type)}: must be one of ${list}`);
  return type;
}

/** The first kind that has an object of this name: containers, images, volumes, in Docker's order. */
async function find(sdk: Sdk, name: string, type: string | undefined, size: boolean): Promise<Found> {
  const lookups = [
    {kind: 'container', absent: 'ERR_CONTAINER_NOT_FOUND', look: () => sdk.inspect(name, {size})},
    {kind: 'image', absent: 'ERR_IMAGE_NOT_FOUND', look: () => sdk.inspectImage(name)},
    {kind: 'network', absent: 'ERR_NETWORK_NOT_FOUND', look: () => sdk.inspectNetwork(name)},
    {kind: 'volume', absent: 'ERR_VOLUME_NOT_FOUND', look: () => sdk.inspectVolume(name)},
  ] as const;
  for (const {kind, absent, look} of lookups) {
    if (type !== undefined && type !== kind) continue;
    try {
      return {kind, document: await look()};
    } catch (error) {
      if (type !== undefined) throw inDockersWords(error, kind, name);
      // Every name may be a container's; not every one is a reference of an image.
      const isAbsent =
        error instanceof CoracleError && (error.code === absent || error.code === 'ERR_INVALID_REFERENCE');
      if (!isAbsent) throw error;
    }
  }
  throw new ClientError(`Error: No such ${type ?? 'object'}: ${name}`);
}

/** dockerd says it twice when asked for an image that is not there. */
function inDockersWords(error: unknown, kind: ObjectKind, name: string): unknown {
  if (kind !== 'image' || !(error instanceof CoracleError) || error.code !== 'ERR_IMAGE_NOT_FOUND')
    return error;
  return new CoracleError(error.code, `no such image: ${name}: ${error.message}`, {cause: error});
}
