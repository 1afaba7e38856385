import {Command as Commander, CommanderError, Option} from 'commander';
import {CoracleError} from '../errors.js';
import {PROGRAM, UsageError} from './cli-error.js';
import type {Call, Command, Flag} from './command.js';

const TRUE = new Set(['1', 't', 'T', 'true', 'TRUE', 'True']);
const FALSE = new Set(['0', 'f', 'F', 'false', 'FALSE', 'False']);

/**
 * Reads the words after the command's name, by commander, and refuses in the docker client's words.
 * @returns undefined when help was asked for
 * @throws UsageError; CoracleError `ERR_UNSUPPORTED_OPTION`
 */
export function parseCommandLine(command: Command, given: readonly string[]): Call | undefined {
  const values = new Map<string, string[]>();
  let help = false;
  const parser = new Commander(command.name)
    .exitOverride()
    .helpOption(false)
    .configureOutput({writeErr: () => {}})
    .showSuggestionAfterError(false)
    .argument('[words...]')
    .passThroughOptions(command.flagsFirst === true);

  const declare = (flag: Flag, value: string | undefined, spelling = `--${flag.name}`) => {
    const option = new Option(`--${flag.name}${flag.type === undefined ? '' : ' <value>'}`);
    if (spelling.includes('=')) {
      // pflag takes --rm=false; commander knows no value for a switch, but takes the whole word as another switch.
      option.long = spelling;
      option.name = () => spelling.slice(2);
      option.attributeName = () => spelling.slice(2);
    }
    parser.addOption(option);
    parser.on(`option:${option.name()}`, (read: string | undefined) => {
      if (flag.unsupported !== undefined && !flag.harmless?.test(value ?? read ?? 'true'))
        throw unsupported(flag);
      if (flag.name === 'help') help = true;
      const text = value ?? read ?? 'true';
      checkValue(command, flag, text);
      values.set(flag.name, [...(values.get(flag.name) ?? []), text]);
    });
  };

  const flags = [...command.flags, HELP];
  const argv = inFull(command, flags, given);
  // Commander takes as long to hear of seventy flags as the kernel to start a container: it is told of those in sight.
  for (const flag of flags)
    if (argv.some(word => word.startsWith(`--${flag.name}`))) declare(flag, undefined);
  for (const word of new Set(argv)) {
    const [, name, value] = /^--([a-z-]+)=(.*)$/s.exec(word) ?? [];
    const flag = flags.find(known => known.name === name && known.type === undefined);
    if (flag !== undefined) declare(flag, value!, word);
  }
  try {
    parser.parse(argv, {from: 'user'});
  } catch (error) {
    throw error instanceof CommanderError ? usageError(command, refusal(error, argv)) : error;
  }
  if (help) return undefined;
  checkWordCount(command, parser.args);
  const isOn = (flag: string) => TRUE.has(values.get(flag)?.at(-1) ?? 'false');
  return {
    words: parser.args,
    has: flag => (flags.find(({name}) => name === flag)?.type === undefined ? isOn(flag) : values.has(flag)),
    value: flag => values.get(flag)?.at(-1),
    values: flag => values.get(flag) ?? [],
  };
}

/**
 * One-letter flags as the long ones that they mean, read as pflag reads them: `-it`, `-m64m`, `-m 64m`, and `-m=64m`, of which
 * commander would take `=64m`. @throws UsageError
 */
function inFull(command: Command, flags: readonly Flag[], given: readonly string[]): string[] {
  const words: string[] = [];
  for (let index = 0; index < given.length; index++) {
    const word = given[index]!;
    const isFlag = word.startsWith('-') && word !== '-';
    if (word === '--' || (!isFlag && command.flagsFirst)) return [...words, ...given.slice(index)];
    if (isFlag && !word.startsWith('--')) {
      if (addLetters(command, flags, word.slice(1), given[index + 1], words)) index++;
      continue;
    }
    words.push(word);
    const takesNext = flags.some(({name, type}) => type !== undefined && word === `--${name}`);
    if (takesNext && index + 1 < given.length) words.push(given[++index]!);
  }
  return words;
}

/** @param next the word behind them @returns whether it is the last one's value @throws UsageError */
function addLetters(
  command: Command,
  flags: readonly Flag[],
  letters: string,
  next: string | undefined,
  words: string[],
): boolean {
  for (let rest = letters; rest !== ''; rest = rest.slice(1)) {
    const letter = rest[0]!;
    const flag = flags.find(({short}) => short === letter) ?? (letter === 'h' ? HELP : undefined);
    if (flag === undefined) {
      words.push(`-${rest}`); // refused in its turn
      return false;
    }
    const {name, type} = flag;
    if (rest.length > 2 && rest[1] === '=') {
      words.push(`--${name}=${rest.slice(2)}`);
      return false;
    }
    if (type === undefined) {
      words.push(`--${name}`);
      continue;
    }
    if (rest.length > 1) words.push(`--${name}=${rest.slice(1)}`);
    else if (next === undefined) throw usageError(command, `flag needs an argument: '${letter}' in -${rest}`);
    else words.push(`--${name}=${next}`);
    return rest.length === 1;
  }
  return false;
}

/** Docker takes `-h` for it where it means nothing else. */
const HELP: Flag = {name: 'help', summary: 'Print usage'};

/** What pflag says: message, usage line, where to read on. */
export function usageError(command: Command, message: string): UsageError {
  const name = `${PROGRAM} ${command.name}`;
  return new UsageError(
    `${message}\n\nUsage:  ${name} ${command.usage}\n\nRun '${name} --help' for more information`,
    125,
  );
}

function checkValue(command: Command, flag: Flag, value: string): void {
  try {
    if (flag.type === undefined && !TRUE.has(value) && !FALSE.has(value)) {
      throw new Error(`strconv.ParseBool: parsing ${JSON.stringify(value)}: invalid syntax`);
    }
    flag.check?.(value);
  } catch (error) {
    // Some forms are only refused by dockerd, or by the client after all flags were read.
    if (error instanceof CoracleError && error.details['daemon'] === true) throw error;
    if (error instanceof CoracleError && error.code === 'ERR_UNSUPPORTED_OPTION') throw error;
    const spelling = flag.short === undefined ? `--${flag.name}` : `-${flag.short}, --${flag.name}`;
    throw usageError(
      command,
      `invalid argument ${JSON.stringify(value)} for "${spelling}" flag: ${(error as Error).message}`,
    );
  }
}

function refusal({code, message}: CommanderError, argv: readonly string[]): string {
  const [, flag = ''] = /'(-[^' ,<]*)/.exec(message) ?? [];
  if (code === 'commander.optionMissingArgument') return `flag needs an argument: ${argv.at(-1)}`;
  if (code !== 'commander.unknownOption') return message;
  if (flag.startsWith('--')) return `unknown flag: ${flag.split('=')[0]}`;
  return `unknown shorthand flag: '${flag[1]}' in ${flag}`;
}

function checkWordCount(command: Command, words: readonly string[]): void {
  const {least, most} = command;
  if (words.length >= least && words.length <= most) return;
  const name = `${PROGRAM} ${command.name}`;
  const plural = (count: number) => `${count} argument${count === 1 ? '' : 's'}`;
  const requires =
    most === 0
      ? 'accepts no arguments'
      : least === most
        ? `requires ${plural(least)}`
        : words.length < least
          ? `requires at least ${plural(least)}`
          : `requires at most ${plural(most)}`;
  const see = words.length < least && least !== most ? 'See' : 'Run';
  throw new UsageError(
    `${PROGRAM}: '${name}' ${requires}\n\nUsage:  ${name} ${command.usage}\n\n${see} '${name} --help' for more information`,
    1,
  );
}

function unsupported({name, unsupported: instead}: Flag): CoracleError {
  return new CoracleError(
    'ERR_UNSUPPORTED_OPTION',
    `--${name} is not supported by this release: ${instead}`,
    {
      details: {option: name},
    },
  );
}
