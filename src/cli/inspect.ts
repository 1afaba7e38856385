import {CoracleError} from '../errors.js';
import {ClientError, errorLine, printHint} from './cli-error.js';
import type {Call, Command, Context} from './command.js';
import {goJson} from './print-list.js';
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

export const command: Command = {
  name: 'inspect',
  usage: '[OPTIONS] NAME|ID [NAME|ID...]',
  summary: 'Return low-level information on containers, images and volumes',
  flags: [
    {
      name: 'format',
      short: 'f',
      type: 'string',
      summary: "Format output: 'json', one line (templates: ts-inspect --format)",
    },
    {name: 'size', short: 's', summary: 'Display total file sizes if the type is container'},
    {name: 'type', type: 'string', summary: 'Only inspect objects of the given type'},
  ],
  least: 1,
  most: Number.POSITIVE_INFINITY,
  examples: [
    'coracle inspect web',
    'coracle inspect --type image hello-world',
    "ts-inspect --format '<<.State.Status>>' web",
  ],
  run: (call, context) => inspect(call, context, wantedType(call)),
};

/** `inspect` of one kind of object: `volume inspect`, `image inspect`. */
export async function inspect(
  call: Call,
  {sdk, stdout, stderr}: Context,
  type: string | undefined,
): Promise<number> {
  const format = call.value('format') ?? '';
  if (format !== '' && format !== 'json') {
    throw new CoracleError(
      'ERR_UNSUPPORTED_OPTION',
      'templates in --format of coracle inspect are not supported by this release',
      {
        hint: 'ts-inspect --format takes them.',
      },
    );
  }
  const documents: unknown[] = [];
  let failed = false;
  for (const name of call.words) {
    try {
      documents.push(await find(await sdk(), name, type, call.has('size')));
    } catch (error) {
      failed = true;
      stderr.write(`${error instanceof ClientError ? error.message : errorLine(error)}\n`);
      printHint(error, stderr);
    }
  }
  if (format === 'json') stdout.write(`${goJson(documents)}\n`);
  else stdout.write(documents.length === 0 ? '[]\n' : `${goJson(documents, '    ')}\n`);
  return failed ? 1 : 0;
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
async function find(sdk: Sdk, name: string, type: string | undefined, size: boolean): Promise<unknown> {
  const lookups = [
    {kind: 'container', absent: 'ERR_CONTAINER_NOT_FOUND', look: () => sdk.inspect(name, {size})},
    {kind: 'image', absent: 'ERR_IMAGE_NOT_FOUND', look: () => sdk.inspectImage(name)},
    {kind: 'volume', absent: 'ERR_VOLUME_NOT_FOUND', look: () => sdk.inspectVolume(name)},
  ].filter(({kind}) => type === undefined || type === kind);
  for (const {absent, look} of lookups) {
    try {
      return await look();
    } catch (error) {
      const isAbsent =
        error instanceof CoracleError && (error.code === absent || error.code === 'ERR_INVALID_REFERENCE');
      if (type !== undefined || !isAbsent) throw error;
    }
  }
  throw new ClientError(`Error: No such ${type ?? 'object'}: ${name}`);
}
