import {unlinkSync, writeFileSync} from 'node:fs';
import {resolve} from 'node:path';
import {text} from 'node:stream/consumers';
import type {BuildContext, BuildOptions, BuildSecret} from '../build/index.js';
import {familiarNameOf, parseSize, parseUlimit, splitCsv} from '../sdk/index.js';
import {buildPrinter} from './build-progress.js';
import {ClientError} from './cli-error.js';
import type {Call, Command, Context, Flag} from './command.js';
import {CONTAINER_FLAGS} from './container-flags.js';
import {limitsOf} from './container-options.js';
import {keyValues} from './key-values.js';
import {openingError} from './opening-error.js';
import {whileInterruptible} from './while-interruptible.js';

/** Those of `run` that are for the RUN instructions. */
const OF_CONTAINERS = new Set(
  'add-host cgroup-parent cpu-period cpu-quota cpu-shares cpuset-cpus cpuset-mems memory memory-swap shm-size ulimit'.split(
    ' ',
  ),
);
const ONE_IMAGE = 'one image is built, into the store';

export const command: Command = {
  name: 'build',
  usage: '[OPTIONS] PATH | URL | -',
  summary: 'Build an image from a Dockerfile',
  aliases: ['image build', 'builder build'],
  flags: [
    ...CONTAINER_FLAGS.filter(({name}) => OF_CONTAINERS.has(name)),
    {name: 'build-arg', type: 'list', summary: 'Set build-time variables'},
    {name: 'cache-from', type: 'strings', summary: 'Images to consider as cache sources'},
    {
      name: 'file',
      short: 'f',
      type: 'string',
      summary: 'Name of the Dockerfile (Default is "PATH/Dockerfile")',
    },
    {name: 'iidfile', type: 'string', summary: 'Write the image ID to the file'},
    {name: 'label', type: 'list', summary: 'Set metadata for an image'},
    {
      name: 'network',
      type: 'string',
      summary: 'Set the networking mode for the RUN instructions during build (default "default")',
    },
    {name: 'no-cache', summary: 'Do not use cache when building the image'},
    {name: 'platform', type: 'string', summary: 'Set platform of the images to build on'},
    {
      name: 'progress',
      type: 'string',
      summary: 'Set type of progress output (auto, plain, tty, json, quiet)',
      check: checkProgress,
    },
    {name: 'pull', summary: 'Always attempt to pull a newer version of the image'},
    {name: 'quiet', short: 'q', summary: 'Suppress the build output and print image ID on success'},
    {
      name: 'secret',
      type: 'list',
      summary: 'Secret to expose to the build (id=mysecret[,src=/local/secret | ,env=VARIABLE])',
      check: value => void parseSecret(value, {}),
    },
    {
      name: 'tag',
      short: 't',
      type: 'list',
      summary: 'Name and optionally a tag in the "name:tag" format',
      check: value => void familiarNameOf(value),
    },
    {name: 'target', type: 'string', summary: 'Set the target build stage to build'},
    ...['rm', 'force-rm', 'compress', 'load', 'disable-content-trust'].map(
      (name): Flag => ({name, summary: '', hidden: true}),
    ),
    ...unsupportedFlags(),
  ],
  least: 1,
  most: 1,
  examples: [
    'coracle build -t my/app .',
    'coracle build -t my/app:debug --target debug --build-arg VERSION=2 -f docker/Dockerfile .',
    "printf 'FROM host-shell\\nRUN echo hello >/greeting\\n' | coracle build -",
    'coracle build --secret id=token,src=token.txt --no-cache --progress json .',
  ],
  isLongWork: true,
  run,
};

function unsupportedFlags(): Flag[] {
  const reasons: Readonly<Record<string, string>> = {
    allow: 'there are no entitlements',
    annotation: 'use --label',
    attest: 'no attestations are made',
    'build-context': 'copy what is needed into the context, or from an image: COPY --from=IMAGE',
    builder: 'there is one builder',
    'cache-to': 'the cache is in the store',
    isolation: 'it is for Windows',
    'metadata-file': 'use --iidfile',
    output: `${ONE_IMAGE}: write it with coracle save, or a container of it with coracle cp`,
    provenance: 'no attestations are made',
    push: `${ONE_IMAGE}: push it afterwards`,
    sbom: 'no attestations are made',
    'security-opt': "the RUN instructions have Docker's default profile",
    squash: 'commit a container of the image instead',
    ssh: 'give the key as a secret: --secret id=key,src=FILE',
  };
  return Object.entries(reasons).map(([name, why]) => ({
    name,
    ...(name === 'output' && {short: 'o'}),
    ...(name !== 'push' && name !== 'squash' && {type: 'string'}),
    summary: '',
    unsupported: why,
  }));
}

async function run(call: Call, context: Context): Promise<number> {
  const iidFile = call.value('iidfile');
  if (iidFile) removeStale(iidFile);
  const options = await buildOptions(call, context);
  const printer = buildPrinter(progressOf(call), context);
  const source = contextOf(call, context);
  try {
    const {id} = await whileInterruptible(context, 'the build', async signal =>
      (await context.sdk()).build(source, {...options, signal, onProgress: event => printer.tell(event)}),
    );
    printer.done(id);
    if (iidFile) writeId(iidFile, id);
    return 0;
  } catch (error) {
    printer.failed(error);
    throw error;
  }
}

/** Else a build that fails would leave the id of another one. */
function removeStale(iidFile: string): void {
  try {
    unlinkSync(iidFile);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return;
    const {message} = openingError(iidFile, cause as NodeJS.ErrnoException);
    throw new ClientError(`removing image ID file: ${message}`, undefined, cause);
  }
}

function writeId(iidFile: string, id: string): void {
  try {
    writeFileSync(iidFile, id);
  } catch (cause) {
    throw openingError(iidFile, cause as NodeJS.ErrnoException);
  }
}

async function buildOptions(call: Call, context: Context): Promise<BuildOptions> {
  const {env} = context;
  const given = (name: string) => call.value(name) || undefined;
  const limits = limitsOf(call);
  const ulimits = Object.fromEntries(
    call
      .values('ulimit')
      .map(parseUlimit)
      .map(({name, limit}) => [name, limit]),
  );
  const shmSize = given('shm-size');
  const all: {[Name in keyof BuildOptions]: BuildOptions[Name] | undefined} = {
    dockerfile: await dockerfileOf(call, context),
    tags: call.values('tag'),
    buildArgs: Object.fromEntries(call.values('build-arg').flatMap(each => fromEnvironment(each, env))),
    labels: keyValues(call.values('label')),
    target: given('target'),
    platform: given('platform'),
    pull: call.has('pull'),
    noCache: call.has('no-cache'),
    cacheFrom: call.values('cache-from').flatMap(each => splitCsv(each)),
    secrets: Object.fromEntries(call.values('secret').flatMap(each => parseSecret(each, env))),
    network: given('network'),
    extraHosts: call.values('add-host'),
    limits,
    shmSizeBytes: shmSize === undefined ? undefined : parseSize(shmSize),
    ulimits,
    cgroupParent: given('cgroup-parent'),
  };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
}

/** `KEY=value`, or `KEY` for what this process has, if it has it. */
function fromEnvironment(argument: string, env: Context['env']): [string, string][] {
  const equals = argument.indexOf('=');
  if (equals >= 0) return [[argument.slice(0, equals), argument.slice(equals + 1)]];
  const value = env[argument];
  return value === undefined ? [] : [[argument, value]];
}

/** `id=x,src=file`, `id=x,env=VARIABLE`; without either the variable, or the file, of that name. */
function parseSecret(written: string, env: Context['env']): [string, BuildSecret][] {
  const fields = new Map(splitCsv(written).map(field => splitField(field, written)));
  const id = fields.get('id');
  if (!id) throw new ClientError(`invalid secret ${JSON.stringify(written)}: it needs an id`);
  const path = fields.get('src') ?? fields.get('source');
  const variable = fields.get('env');
  const isVariable = fields.get('type') === 'env' || variable !== undefined;
  if (!isVariable && (path !== undefined || env[id] === undefined)) return [[id, {path: path ?? id}]];
  const value = env[variable ?? path ?? id];
  return value === undefined ? [] : [[id, {value}]];
}

function splitField(field: string, written: string): [string, string] {
  const equals = field.indexOf('=');
  const name = field.slice(0, equals).toLowerCase();
  if (equals > 0 && ['id', 'src', 'source', 'env', 'type'].includes(name))
    return [name, field.slice(equals + 1)];
  throw new ClientError(
    `invalid secret ${JSON.stringify(written)}: ${JSON.stringify(field)} is no field of one`,
  );
}

async function dockerfileOf(call: Call, {stdin, directory}: Context): Promise<BuildOptions['dockerfile']> {
  const file = call.value('file');
  const [source = ''] = call.words;
  if (file === undefined || file === '') return undefined;
  if (file === '-') {
    if (source === '-')
      throw new ClientError("invalid argument: can't use stdin for both build context and dockerfile");
    return {text: await text(stdin)};
  }
  const isArchive = source === '-' || /^https?:\/\//i.test(source);
  return isArchive ? file : resolve(directory, file);
}

function contextOf(call: Call, {stdin, directory}: Context): BuildContext {
  const [source = ''] = call.words;
  if (source === '-') return stdin;
  return /^[a-z+]+:\/\/|^git@|^github\.com\//i.test(source) ? source : contextDirectory(directory, source);
}

/** Messages call it as the user does. */
function contextDirectory(directory: string, source: string): string {
  return directory === process.cwd() ? source : resolve(directory, source);
}

const PROGRESS = ['auto', 'plain', 'tty', 'json', 'rawjson', 'quiet'];

function checkProgress(value: string): void {
  if (!PROGRESS.includes(value)) throw new Error(`invalid progress mode: ${value}`);
}

function progressOf(call: Call): 'plain' | 'tty' | 'json' | 'quiet' {
  if (call.has('quiet')) return 'quiet';
  const asked = call.value('progress') ?? 'auto';
  if (asked === 'rawjson') return 'json';
  return asked === 'tty' || asked === 'json' || asked === 'quiet' ? asked : 'plain';
}
