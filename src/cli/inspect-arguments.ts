import {COMPATS, type Compat, type ObjectKind} from '../inspect/index.js';

/** The command line of `ts-inspect`. */

/** In the order in which Docker looks a name up. */
export const KINDS = ['container', 'image', 'network', 'volume'] as const satisfies readonly ObjectKind[];

/** The types Docker names in its messages; those that are not ours belong to Swarm and to plugins. */
const DOCKER_KINDS = 'config container image network node plugin secret service task volume'.split(' ');

export const USAGE = `Usage:  ts-inspect [OPTIONS] NAME|ID [NAME|ID...]`;
export const SEE_HELP = `Run 'ts-inspect --help' for more information`;
export interface Arguments {
  readonly format: string;
  readonly jsonpath: string | undefined;
  readonly template: string | undefined;
  readonly type: ObjectKind | undefined;
  readonly typeText: string | undefined;
  readonly size: boolean;
  readonly input: string | undefined;
  readonly delims: readonly [string, string] | undefined;
  readonly delimsText: string | undefined;
  readonly compat: Compat;
  readonly compatText: string | undefined;
  readonly watch: boolean;
  readonly waitFor: string | undefined;
  readonly timeout: string | undefined;
  readonly explain: boolean;
  readonly completion: string | undefined;
  readonly help: boolean;
  readonly version: boolean;
  readonly names: readonly string[];
}

/** What is wrong, in the words of Docker's command line where it has any. */
export function checkArguments(args: Arguments): string | undefined {
  const {typeText, compatText, delimsText, names, input} = args;
  if (typeText !== undefined && args.type === undefined) {
    const known = `must be one of "${DOCKER_KINDS.join('", "')}"`;
    if (typeText === '') return `type is empty: ${known}`;
    if (!DOCKER_KINDS.includes(typeText)) return `unknown type: "${typeText}": ${known}`;
    return `type "${typeText}" is not supported: there are containers, images, networks and volumes`;
  }
  if (compatText !== undefined && compatText !== args.compat) {
    return `unknown release: "${compatText}": must be one of "${COMPATS.join('", "')}"`;
  }
  if (delimsText !== undefined && args.delims === undefined) {
    return `invalid delimiters: "${delimsText}": must be two, as in '<<,>>'`;
  }
  const conflict = checkCombination(args);
  if (conflict !== undefined) return conflict;
  if (names.length === 0 && input === undefined && !args.explain) {
    return `ts-inspect: 'ts-inspect' requires at least 1 argument\n\n${USAGE}\n\nSee 'ts-inspect --help' for more information`;
  }
  if (input === undefined && names.includes('')) return 'invalid name or ID: value is empty';
  return undefined;
}

function checkCombination(args: Arguments): string | undefined {
  const given = (['format', 'jsonpath', 'template'] as const).filter(name => args[name]);
  if (given.length > 1) return `--${given[0]} and --${given[1]} exclude each other: both say what is printed`;
  if (args.explain && args.format === '') return '--explain explains a template: give it one with --format';
  if (args.timeout !== undefined && args.waitFor === undefined) return '--timeout belongs to --wait-for';
  if (args.watch && args.waitFor !== undefined) return '--watch and --wait-for exclude each other';
  if (args.input === '-' && (args.watch || args.waitFor !== undefined)) {
    return 'standard input is read once: --watch and --wait-for need a file or objects by name';
  }
  return undefined;
}

export const VALUE_FLAGS = [
  'format',
  'type',
  'input',
  'delims',
  'compat',
  'jsonpath',
  'template',
  'wait-for',
  'timeout',
  'completion',
] as const;
const BOOLEAN_FLAGS = ['size', 'watch', 'explain', 'help', 'version'] as const;
export const FLAGS = [...VALUE_FLAGS, ...BOOLEAN_FLAGS].sort();
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
export function parseArguments(argv: readonly string[]): Arguments | string {
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
    jsonpath: values.get('jsonpath'),
    template: values.get('template'),
    type: KINDS.find(kind => kind === typeText),
    typeText,
    size: switches.get('size') ?? false,
    input: values.get('input'),
    delims: delimsText === undefined ? undefined : splitDelims(delimsText),
    delimsText,
    compat: COMPATS.find(compat => compat === compatText) ?? '28',
    compatText,
    watch: switches.get('watch') ?? false,
    waitFor: values.get('wait-for'),
    timeout: values.get('timeout'),
    explain: switches.get('explain') ?? false,
    completion: values.get('completion'),
    help: switches.get('help') ?? false,
    version: switches.get('version') ?? false,
    names,
  };
}

function splitDelims(text: string): readonly [string, string] | undefined {
  const [left, right, ...more] = text.split(/[, ]+/);
  return left && right && more.length === 0 ? [left, right] : undefined;
}
