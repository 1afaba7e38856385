import {
  COMPATS,
  type Compat,
  compactJson,
  compileInspect,
  guessDelims,
  type InspectTemplate,
  indentJson,
  JsonSyntaxError,
  type ObjectKind,
  parseJson,
  splitJsonArray,
  TemplateError,
} from '../inspect/index.js';

/** What the command line touches, given by whoever starts it: then it runs anywhere and tests need no process. */
export interface InspectIo {
  readonly stdout: (text: string) => void;
  readonly stderr: (text: string) => void;
  /** The text of a file, or of standard input for `-`. */
  readonly readText: (path: string) => Promise<string>;
  /** The engine's JSON for an object; undefined if there is none of that kind and name. */
  readonly resolve: (kind: ObjectKind, name: string, options: {size: boolean}) => Promise<string | undefined>;
  readonly version: string | Promise<string>;
}

/** In the order in which Docker looks a name up. */
const KINDS = ['container', 'image', 'network', 'volume'] as const satisfies readonly ObjectKind[];

/** The types Docker names in its messages; those that are not ours belong to Swarm and to plugins. */
const DOCKER_KINDS = 'config container image network node plugin secret service task volume'.split(' ');

/** sysexits' EX_USAGE: what Docker leaves with when a template does not parse. */
const EXIT_BAD_TEMPLATE = 64;
const EXIT_BAD_FLAG = 125;

const USAGE = `Usage:  ts-inspect [OPTIONS] NAME|ID [NAME|ID...]`;
const SEE_HELP = `Run 'ts-inspect --help' for more information`;
const HELP = `
${USAGE}

Return low-level information on containers, images, networks and volumes

Options:
      --compat string   Fields of which Docker release: ${COMPATS.join(', ')} (default 28)
      --delims string   Delimiters of the template, separated by a comma or a space
                        (default '{{,}}', or '<<,>>' if the template has those only)
  -f, --format string   Format output using a custom template:
                        'json':             Print in JSON format, on one line
                        'jsonl':            Print each object on a line of its own
                        'pretty':           Print in JSON format, indented (default)
                        'TEMPLATE':         Print output using the given Go template
      --input string    Read objects from a JSON file such as the saved output of
                        'docker inspect', or from standard input ('-')
  -s, --size            Display total file sizes if the type is container
      --type string     Only inspect objects of the given type
      --version         Print the version
      --help            Print usage
`;

/** `ts-inspect`: everything of `docker inspect` but the objects themselves. Resolves to the exit code. */
export async function main(argv: readonly string[], io: InspectIo): Promise<number> {
  const parsed = parseArguments(argv);
  if (typeof parsed === 'string') {
    io.stderr(`${parsed}\n\n${USAGE}\n\n${SEE_HELP}\n`);
    return EXIT_BAD_FLAG;
  }
  if (parsed.help) {
    io.stdout(HELP.trimStart());
    return 0;
  }
  if (parsed.version) {
    io.stdout(`ts-inspect ${await io.version}\n`);
    return 0;
  }
  const problem = checkArguments(parsed);
  if (problem !== undefined) {
    io.stderr(`${problem}\n`);
    return 1;
  }
  let output: Output;
  try {
    output = createOutput(parsed);
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error;
    io.stderr(`template parsing error: ${error.message}\n`);
    return EXIT_BAD_TEMPLATE;
  }
  const errors: string[] = [];
  for await (const found of objects(parsed, io)) {
    if (found instanceof Error) errors.push(found.message);
    else collect(output, found, errors);
  }
  io.stdout(output.finish());
  if (errors.length === 0) return 0;
  io.stderr(`${errors.join('\n')}\n`);
  return 1;
}

interface Found {
  readonly kind: ObjectKind | undefined;
  readonly text: string;
}

function collect(output: Output, found: Found, errors: string[]): void {
  try {
    output.add(found);
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error;
    errors.push(error.kind === 'data' ? error.message : `template parsing error: ${error.message}`);
  }
}

/** Prints at the end, as Docker does: what failed half-way leaves nothing behind. */
interface Output {
  /** @throws TemplateError */
  add(found: Found): void;
  finish(): string;
}

function createOutput({format, delims, compat}: Arguments): Output {
  if (format === '' || format === 'pretty')
    return documents(texts => `${indentJson(`[${texts.join(',')}]`)}\n`);
  if (format === 'json') return documents(texts => `${compactJson(`[${texts.join(',')}]`)}\n`);
  if (format === 'jsonl') return documents(texts => texts.map(text => `${compactJson(text)}\n`).join(''));
  return rendered(compileInspect(format, {delims: delims ?? guessDelims(format), compat, oneCommand: true}));
}

function documents(print: (texts: readonly string[]) => string): Output {
  const texts: string[] = [];
  return {
    add({text}) {
      try {
        parseJson(text);
      } catch (error) {
        throw new TemplateError('data', (error as Error).message, {cause: error});
      }
      texts.push(text);
    },
    finish: () => print(texts),
  };
}

function rendered(template: InspectTemplate): Output {
  let out = '';
  return {
    add({kind, text}) {
      out += `${template(kind, text)}\n`;
    },
    finish: () => (out === '' ? '\n' : out),
  };
}

async function* objects(args: Arguments, io: InspectIo): AsyncGenerator<Found | Error> {
  if (args.input !== undefined) yield* savedObjects(args, args.input, io);
  else for (const name of args.names) yield await lookUp(args, name, io);
}

async function lookUp({type, size}: Arguments, name: string, io: InspectIo): Promise<Found | Error> {
  for (const kind of type === undefined ? KINDS : [type]) {
    let text: string | undefined;
    try {
      text = await io.resolve(kind, name, {size});
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error));
    }
    if (text === undefined) continue;
    if (size && kind !== 'container') io.stderr(`WARNING: --size ignored for ${kind}\n`);
    return {kind, text};
  }
  return new Error(type === undefined ? `Error: No such object: ${name}` : notFound(type, name));
}

function notFound(kind: ObjectKind, name: string): string {
  const said = kind === 'volume' ? `get ${name}: no such volume` : `No such ${kind}: ${name}`;
  return `Error response from daemon: ${said}`;
}

/** Objects of a saved document: all of them, or those with the given names or ids. */
async function* savedObjects(args: Arguments, path: string, io: InspectIo): AsyncGenerator<Found | Error> {
  let saved: SavedObject[];
  try {
    saved = readSaved(await io.readText(path));
  } catch (error) {
    const why =
      error instanceof JsonSyntaxError
        ? `${path}: not a JSON document: ${error.message}`
        : String((error as Error).message);
    yield new Error(why);
    return;
  }
  const wanted = saved.filter(({kind}) => args.type === undefined || kind === args.type);
  if (args.names.length === 0) {
    yield* wanted;
    return;
  }
  for (const name of args.names) {
    const found = wanted.find(object => isCalled(object, name));
    yield found ??
      new Error(args.type === undefined ? `Error: No such object: ${name}` : notFound(args.type, name));
  }
}

interface SavedObject extends Found {
  readonly id: string;
  readonly names: readonly string[];
}

function readSaved(text: string): SavedObject[] {
  parseJson(text);
  return splitJsonArray(text).map(item => {
    const data: unknown = JSON.parse(item);
    const facts = typeof data === 'object' && data !== null ? (data as Record<string, unknown>) : {};
    const names = [facts['Name'], ...(Array.isArray(facts['RepoTags']) ? facts['RepoTags'] : [])];
    return {
      kind: kindOf(facts),
      text: item,
      id: typeof facts['Id'] === 'string' ? facts['Id'] : '',
      names: names.filter(name => typeof name === 'string').map(name => name.replace(/^\//, '')),
    };
  });
}

/** Each kind has keys that no other has. */
function kindOf(facts: Readonly<Record<string, unknown>>): ObjectKind | undefined {
  const has = (key: string) => Object.hasOwn(facts, key);
  if (has('HostConfig') && has('State')) return 'container';
  if (has('RootFS') || has('RepoTags')) return 'image';
  if (has('IPAM')) return 'network';
  return has('Mountpoint') ? 'volume' : undefined;
}

function isCalled({id, names}: SavedObject, name: string): boolean {
  if (names.includes(name) || names.includes(`${name}:latest`)) return true;
  return name !== '' && (id.startsWith(name) || id.startsWith(`sha256:${name}`));
}

interface Arguments {
  readonly format: string;
  readonly type: ObjectKind | undefined;
  readonly typeText: string | undefined;
  readonly size: boolean;
  readonly input: string | undefined;
  readonly delims: readonly [string, string] | undefined;
  readonly delimsText: string | undefined;
  readonly compat: Compat;
  readonly compatText: string | undefined;
  readonly help: boolean;
  readonly version: boolean;
  readonly names: readonly string[];
}

function checkArguments(args: Arguments): string | undefined {
  if (args.typeText !== undefined && args.type === undefined) {
    const known = `must be one of "${DOCKER_KINDS.join('", "')}"`;
    if (args.typeText === '') return `type is empty: ${known}`;
    if (!DOCKER_KINDS.includes(args.typeText)) return `unknown type: "${args.typeText}": ${known}`;
    return `type "${args.typeText}" is not supported: there are containers, images, networks and volumes`;
  }
  if (args.compatText !== undefined && args.compatText !== args.compat) {
    return `unknown release: "${args.compatText}": must be one of "${COMPATS.join('", "')}"`;
  }
  if (args.delimsText !== undefined && args.delims === undefined) {
    return `invalid delimiters: "${args.delimsText}": must be two, as in '<<,>>'`;
  }
  if (args.names.length === 0 && args.input === undefined) {
    return `ts-inspect: 'ts-inspect' requires at least 1 argument\n\n${USAGE}\n\nSee 'ts-inspect --help' for more information`;
  }
  if (args.input === undefined && args.names.includes('')) return 'invalid name or ID: value is empty';
  return undefined;
}

const VALUE_FLAGS = ['format', 'type', 'input', 'delims', 'compat'] as const;
const BOOLEAN_FLAGS = ['size', 'help', 'version'] as const;
type ValueFlag = (typeof VALUE_FLAGS)[number];
type BooleanFlag = (typeof BOOLEAN_FLAGS)[number];
const SHORT: ReadonlyMap<string, ValueFlag | BooleanFlag> = new Map([
  ['f', 'format'],
  ['s', 'size'],
]);
const isValueFlag = (name: string): name is ValueFlag => (VALUE_FLAGS as readonly string[]).includes(name);
const isBooleanFlag = (name: string): name is BooleanFlag =>
  (BOOLEAN_FLAGS as readonly string[]).includes(name);

/** Flags and names in any order, `--` ends the flags: pflag's rules. A string is what is wrong. */
function parseArguments(argv: readonly string[]): Arguments | string {
  const values = new Map<ValueFlag, string>();
  const switches = new Map<BooleanFlag, boolean>();
  const names: string[] = [];
  const rest = [...argv];
  for (let arg = rest.shift(); arg !== undefined; arg = rest.shift()) {
    if (arg === '--') {
      names.push(...rest);
      break;
    }
    if (!arg.startsWith('-') || arg === '-') {
      names.push(arg);
      continue;
    }
    const problem = arg.startsWith('--')
      ? readLong(arg, rest, values, switches)
      : readShort(arg, rest, values, switches);
    if (problem !== undefined) return problem;
  }
  return toArguments(values, switches, names);
}

type Values = Map<ValueFlag, string>;
type Switches = Map<BooleanFlag, boolean>;

function readLong(arg: string, rest: string[], values: Values, switches: Switches): string | undefined {
  const equals = arg.indexOf('=');
  const name = equals < 0 ? arg.slice(2) : arg.slice(2, equals);
  const given = equals < 0 ? undefined : arg.slice(equals + 1);
  if (isBooleanFlag(name)) {
    if (given !== undefined && !/^(?:true|false|[tf]|[01])$/i.test(given)) {
      return `invalid argument "${given}" for "--${name}" flag`;
    }
    switches.set(name, given === undefined || /^(?:true|t|1)$/i.test(given));
    return undefined;
  }
  if (!isValueFlag(name)) return `unknown flag: --${name}`;
  const value = given ?? rest.shift();
  if (value === undefined) return `flag needs an argument: --${name}`;
  values.set(name, value);
  return undefined;
}

/** `-s`, `-f X`, `-fX`, `-f=X`, `-sf X`. */
function readShort(arg: string, rest: string[], values: Values, switches: Switches): string | undefined {
  for (let i = 1; i < arg.length; i++) {
    const name = SHORT.get(arg[i]!);
    if (name === undefined) return `unknown shorthand flag: '${arg[i]}' in ${arg}`;
    if (isBooleanFlag(name)) {
      switches.set(name, true);
      continue;
    }
    const attached = arg.slice(i + 1).replace(/^=/, '');
    const value = i + 1 < arg.length ? attached : rest.shift();
    if (value === undefined) return `flag needs an argument: '${arg[i]}' in ${arg}`;
    values.set(name, value);
    return undefined;
  }
  return undefined;
}

function toArguments(values: Values, switches: Switches, names: readonly string[]): Arguments {
  const typeText = values.get('type');
  const compatText = values.get('compat');
  const delimsText = values.get('delims');
  return {
    format: values.get('format') ?? '',
    type: KINDS.find(kind => kind === typeText),
    typeText,
    size: switches.get('size') ?? false,
    input: values.get('input'),
    delims: delimsText === undefined ? undefined : splitDelims(delimsText),
    delimsText,
    compat: COMPATS.find(compat => compat === compatText) ?? '28',
    compatText,
    help: switches.get('help') ?? false,
    version: switches.get('version') ?? false,
    names,
  };
}

function splitDelims(text: string): readonly [string, string] | undefined {
  const [left, right, ...more] = text.split(/[, ]+/);
  return left && right && more.length === 0 ? [left, right] : undefined;
}
