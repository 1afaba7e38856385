/** From an instruction as it is written to what it says, with the messages of BuildKit's frontend/dockerfile/instructions. */
import type {Healthcheck} from '../../oci/index.js';
import {nearestName} from '../nearest-name.js';
import {parseGoDuration} from '../parse-go-duration.js';
import type {CommandLine, CopySources, Of, Pair, Statement, Step} from './instructions.js';
import {type Heredoc, heredocMark, type Instruction, readInstruction} from './read-dockerfile.js';
import {jsonWords, splitAtBlanks, splitFirst, splitQuoted} from './split-words.js';
import {syntaxError, WordError} from './syntax-error.js';

/** @throws `ERR_DOCKERFILE_SYNTAX` */
export function parseInstruction(instruction: Instruction, escapeToken = '\\'): Step {
  try {
    const parse = PARSERS[instruction.keyword as keyof typeof PARSERS];
    if (parse === undefined || !Object.hasOwn(PARSERS, instruction.keyword)) throw unknown(instruction.word);
    return {...parse(instruction, escapeToken), at: instruction};
  } catch (error) {
    throw error instanceof WordError ? syntaxError(error.message, instruction, instruction.text) : error;
  }
}

type Parser = (instruction: Instruction, escapeToken: string) => Statement;

const PARSERS = {
  ADD: parseAdd,
  ARG: parseArg,
  CMD: (instruction: Instruction) => ({kind: 'cmd', command: commandOf(noFlags(instruction))}),
  COPY: parseCopy,
  ENTRYPOINT: (instruction: Instruction) => ({kind: 'entrypoint', command: commandOf(noFlags(instruction))}),
  ENV: (instruction: Instruction, escapeToken: string) => ({
    kind: 'env',
    pairs: pairsOf(instruction, escapeToken),
  }),
  EXPOSE: (instruction: Instruction) => ({
    kind: 'expose',
    ports: splitAtBlanks(atLeastOne(noFlags(instruction))).sort(),
  }),
  FROM: parseFrom,
  HEALTHCHECK: parseHealthcheck,
  LABEL: (instruction: Instruction, escapeToken: string) => ({
    kind: 'label',
    pairs: pairsOf(instruction, escapeToken),
  }),
  MAINTAINER: (instruction: Instruction) => ({kind: 'maintainer', author: exactlyOne(noFlags(instruction))}),
  ONBUILD: parseOnbuild,
  RUN: parseRun,
  SHELL: parseShell,
  STOPSIGNAL: (instruction: Instruction) => ({kind: 'stopsignal', signal: exactlyOne(instruction)}),
  USER: (instruction: Instruction) => ({kind: 'user', user: exactlyOne(noFlags(instruction))}),
  VOLUME: parseVolume,
  WORKDIR: (instruction: Instruction) => ({kind: 'workdir', path: exactlyOne(noFlags(instruction))}),
} satisfies Record<string, Parser>;

function unknown(word: string): WordError {
  const nearest = nearestName(word.toUpperCase(), Object.keys(PARSERS));
  return new WordError(
    `unknown instruction: ${word}${nearest === undefined ? '' : ` (did you mean ${nearest}?)`}`,
  );
}

function parseFrom(instruction: Instruction): Statement {
  const words = splitAtBlanks(instruction.rest);
  const [base = '', as = '', name] = words;
  const isNamed = words.length === 3 && as.toLowerCase() === 'as';
  if (words.length !== 1 && !isNamed) throw new WordError('FROM requires either one or three arguments');
  if (isNamed && !/^[a-z][a-z0-9\-_.]*$/.test(name!.toLowerCase())) {
    throw new WordError(
      `invalid name for build stage: ${JSON.stringify(name)}, name can't start with a number or contain symbols`,
    );
  }
  const {platform} = flagsOf(instruction, {platform: 'text'});
  return {
    kind: 'from',
    base,
    ...(isNamed && {name: name!.toLowerCase()}),
    ...(platform !== undefined && {platform}),
  };
}

function parseArg(instruction: Instruction, escapeToken: string): Statement {
  const words = splitQuoted(atLeastOne(instruction), escapeToken);
  return {
    kind: 'arg',
    args: words.map(word => {
      const equals = word.indexOf('=');
      if (equals === 0) throw new WordError('ARG names can not be blank');
      return equals < 0 ? {name: word} : {name: word.slice(0, equals), value: word.slice(equals + 1)};
    }),
  };
}

/** `NAME=value "NAME=with blanks"`, or the old form `NAME value`. */
function pairsOf(instruction: Instruction, escapeToken: string): Pair[] {
  const {keyword} = instruction;
  const text = atLeastOne(noFlags(instruction));
  const words = splitQuoted(text, escapeToken);
  if (words.length === 0) throw new WordError(`${keyword} requires at least one argument`);
  if (!words[0]!.includes('=')) {
    const [name, value] = splitFirst(text);
    if (value === undefined) throw new WordError(`${keyword} must have two arguments`);
    return [{name, value, isOld: true}];
  }
  return words.map(word => {
    const equals = word.indexOf('=');
    if (equals < 0)
      throw new WordError(
        `Syntax error - can't find = in ${JSON.stringify(word)}. Must be of the form: name=value`,
      );
    if (equals === 0) throw new WordError(`${keyword} names can not be blank`);
    return {name: word.slice(0, equals), value: word.slice(equals + 1)};
  });
}

function parseCopy(instruction: Instruction): Statement {
  const flags = flagsOf(instruction, {...COPY_FLAGS, from: 'text', parents: 'switch'}, 'COPY');
  const {from, parents = false} = flags;
  return {...copySources(instruction, flags), kind: 'copy', parents, ...(from !== undefined && {from})};
}

function parseAdd(instruction: Instruction): Statement {
  const flags = flagsOf(
    instruction,
    {...COPY_FLAGS, checksum: 'text', 'keep-git-dir': 'switch', unpack: 'switch'},
    'ADD',
  );
  const {checksum, unpack} = flags;
  return {
    ...copySources(instruction, flags),
    kind: 'add',
    ...(checksum !== undefined && {checksum}),
    ...(unpack !== undefined && {unpack}),
  };
}

const COPY_FLAGS = {chown: 'text', chmod: 'text', link: 'switch', exclude: 'list'} as const;

function copySources(
  {keyword, rest, heredocs}: Instruction,
  {chown, chmod, link = false, exclude = []}: FlagValues<typeof COPY_FLAGS>,
): CopySources {
  const words = jsonWords(rest) ?? splitAtBlanks(rest);
  const destination = words.pop();
  if (destination === undefined || words.length === 0) {
    throw new WordError(
      `${keyword} requires at least two arguments, but only one was provided. Destination could not be determined`,
    );
  }
  if (heredocMark(destination) !== undefined)
    throw new WordError(`${keyword} cannot accept a heredoc as a destination`);
  const byName = new Map(heredocs.map(heredoc => [heredoc.name, heredoc]));
  const marks = words.map(word => ({word, mark: heredocMark(word)}));
  return {
    sources: marks.flatMap(({word, mark}) => (mark === undefined ? [word] : [])),
    inline: marks.flatMap(({mark}) => chomped(mark && byName.get(mark.name))),
    destination,
    link,
    exclude,
    ...(chown !== undefined && {chown}),
    ...(chmod !== undefined && {chmod}),
  };
}

function chomped(heredoc: Heredoc | undefined): Heredoc[] {
  if (heredoc === undefined) return [];
  return [heredoc.chomp ? {...heredoc, content: heredoc.content.replace(/^\t+/gm, '')} : heredoc];
}

function parseRun(instruction: Instruction): Statement {
  const flags = flagsOf(instruction, {mount: 'list', network: 'text', security: 'text'});
  const {mount: mounts = [], network = 'default', security = 'sandbox'} = flags;
  if (network !== 'default' && network !== 'none' && network !== 'host')
    throw new WordError(`invalid network mode ${JSON.stringify(network)}`);
  if (security !== 'sandbox' && security !== 'insecure')
    throw new WordError(`security ${JSON.stringify(security)} is not valid`);
  const command = commandOf(instruction);
  if (command === undefined) throw new WordError('RUN requires at least one argument');
  return {kind: 'run', command, heredocs: instruction.heredocs, mounts, network, security};
}

/** Undefined: nothing, or an empty array. */
function commandOf({rest}: Instruction): CommandLine | undefined {
  if (rest === '') return undefined;
  const words = jsonWords(rest);
  if (words === undefined) return {form: 'shell', text: rest};
  return words.length === 0 ? undefined : {form: 'exec', words};
}

function parseShell(instruction: Instruction): Statement {
  const text = atLeastOne(noFlags(instruction));
  const shell = jsonWords(text);
  if (shell === undefined)
    throw new WordError(`SHELL requires the arguments to be in JSON form: ${instruction.text}`);
  if (shell.length === 0) throw new WordError('SHELL requires at least one argument');
  return {kind: 'shell', shell};
}

function parseVolume(instruction: Instruction): Statement {
  const text = atLeastOne(noFlags(instruction));
  const paths = (jsonWords(text) ?? splitAtBlanks(text)).map(path => path.trim());
  if (paths.length === 0) throw new WordError('VOLUME requires at least one argument');
  if (paths.includes('')) throw new WordError('VOLUME specified can not be an empty string');
  return {kind: 'volume', paths};
}

function parseHealthcheck(instruction: Instruction): Statement {
  const [word = '', rest = ''] = splitFirst(atLeastOne(instruction));
  const type = word.toUpperCase();
  if (type === 'NONE') {
    if (rest !== '') throw new WordError('HEALTHCHECK NONE takes no arguments');
    return {kind: 'healthcheck', healthcheck: {Test: ['NONE']}};
  }
  const flags = flagsOf(instruction, {
    interval: 'text',
    timeout: 'text',
    'start-period': 'text',
    'start-interval': 'text',
    retries: 'text',
  });
  if (type !== 'CMD') throw new WordError(`Unknown type ${JSON.stringify(type)} in HEALTHCHECK (try CMD)`);
  const words = jsonWords(rest);
  const test = words === undefined ? ['CMD-SHELL', ...(rest === '' ? [] : [rest])] : ['CMD', ...words];
  if (test.length === 1) throw new WordError('Missing command after HEALTHCHECK CMD');
  const healthcheck: Healthcheck = {
    Test: test,
    ...named('Interval', interval('interval', flags.interval)),
    ...named('Timeout', interval('timeout', flags.timeout)),
    ...named('StartPeriod', interval('start-period', flags['start-period'])),
    ...named('StartInterval', interval('start-interval', flags['start-interval'])),
    ...named('Retries', retries(flags.retries)),
  };
  return {kind: 'healthcheck', healthcheck};
}

function named(name: keyof Healthcheck, value: number): Partial<Healthcheck> {
  return value === 0 ? {} : {[name]: value};
}

/** Nanoseconds; 0 = not said. */
function interval(name: string, text = ''): number {
  if (text === '') return 0;
  let nanoseconds: number;
  try {
    nanoseconds = parseGoDuration(text);
  } catch (error) {
    throw new WordError((error as Error).message);
  }
  if (nanoseconds !== 0 && nanoseconds < 1e6)
    throw new WordError(`Interval ${JSON.stringify(name)} cannot be less than 1ms`);
  return nanoseconds;
}

function retries(text = ''): number {
  if (text === '') return 0;
  if (!/^[+-]?\d{1,10}$/.test(text) || Math.abs(Number(text)) > 2 ** 31 - 1)
    throw new WordError(`strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`);
  if (Number(text) < 0) throw new WordError(`--retries cannot be negative (${Number(text)})`);
  return Number(text);
}

function parseOnbuild(instruction: Instruction, escapeToken: string): Statement {
  const text = atLeastOne(noFlags(instruction));
  const [word = ''] = splitFirst(text);
  const trigger = word.toUpperCase();
  if (trigger === 'ONBUILD') throw new WordError("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed");
  if (trigger === 'MAINTAINER' || trigger === 'FROM')
    throw new WordError(`${trigger} isn't allowed as an ONBUILD trigger`);
  const heredocs = instruction.heredocs.map(({content, name}) => `\n${content}${name}`).join('');
  const whole = text + heredocs;
  // What it says is looked at now, and carried out in another build.
  parseInstruction({
    ...readInstruction(whole, escapeToken),
    line: instruction.line,
    endLine: instruction.endLine,
  });
  return {kind: 'onbuild', trigger: whole};
}

function atLeastOne({rest, keyword}: Instruction): string {
  if (rest === '') throw new WordError(`${keyword} requires at least one argument`);
  return rest;
}

function exactlyOne({rest, keyword}: Instruction): string {
  if (rest === '') throw new WordError(`${keyword} requires exactly one argument`);
  return rest;
}

function noFlags(instruction: Instruction): Instruction {
  flagsOf(instruction, {});
  return instruction;
}

type FlagType = 'text' | 'switch' | 'list';
type FlagValues<Types extends Readonly<Record<string, FlagType>>> = {
  readonly [Name in keyof Types]?: {text: string; switch: boolean; list: readonly string[]}[Types[Name]];
};

function flagsOf<const Types extends Readonly<Record<string, FlagType>>>(
  {flags}: Instruction,
  types: Types,
  _instruction?: string,
): FlagValues<Types> {
  const values: Record<string, string | boolean | string[]> = {};
  for (const flag of flags) {
    const equals = flag.indexOf('=');
    const shown = equals < 0 ? flag : flag.slice(0, equals);
    const value = equals < 0 ? undefined : flag.slice(equals + 1);
    const name = shown.slice(2);
    if (!Object.hasOwn(types, name)) throw new WordError(`unknown flag: ${shown}`);
    const type = types[name]!;
    if (Object.hasOwn(values, name) && type !== 'list')
      throw new WordError(`duplicate flag specified: ${shown}`);
    if (type === 'switch') values[name] = switchValue(shown, value);
    else if (value === undefined) throw new WordError(`missing a value on flag: ${shown}`);
    else values[name] = type === 'list' ? [...((values[name] as string[]) ?? []), value] : value;
  }
  return values as FlagValues<Types>;
}

function switchValue(shown: string, value: string | undefined): boolean {
  if (value === '') throw new WordError(`missing a value on flag: ${shown}`);
  const word = (value ?? 'true').toLowerCase();
  if (word !== 'true' && word !== 'false')
    throw new WordError(`expecting boolean value for flag ${shown}, not: ${value}`);
  return word === 'true';
}

export type {Of};
