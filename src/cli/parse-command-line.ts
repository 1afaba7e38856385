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
export function parseCommandLine(command: Command, argv: readonly string[]): Call | undefined {
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
    const short = flag.short === undefined ? '' : `-${flag.short}, `;
    const option = new Option(`${short}--${flag.name}${flag.type === undefined ? '' : ' <value>'}`);
    if (spelling.includes('=')) {
      // pflag takes --rm=false; commander knows no value for a switch, but takes the whole word as another switch.
      option.short = undefined as never;
      option.long = spelling;
      option.name = () => spelling.slice(2);
      option.attributeName = () => spelling.slice(2);
    }
    parser.addOption(option);
    parser.on(`option:${option.name()}`, (given: string | undefined) => {
      if (flag.unsupported !== undefined) throw unsupported(flag);
      if (flag.name === 'help') help = true;
      const text = value ?? given ?? 'true';
      checkValue(command, flag, text);
      values.set(flag.name, [...(values.get(flag.name) ?? []), text]);
    });
  };

  const flags = [...command.flags, {name: 'help', summary: 'Print usage'}];
  // Commander takes as long to hear of seventy flags as the kernel to start a container: it is told of those in sight.
  for (const flag of flags) if (mayAppear(flag, argv)) declare(flag, undefined);
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

/** Whether a word may mean the flag: `--name`, `--name=value`, or its letter anywhere in a word such as `-it`. */
function mayAppear({name, short}: Flag, argv: readonly string[]): boolean {
  return argv.some(
    word =>
      word.startsWith(`--${name}`) ||
      (short !== undefined && word.startsWith('-') && !word.startsWith('--') && word.includes(short)),
  );
}

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
  if (code === 'commander.optionMissingArgument') {
    const last = argv.at(-1)!;
    if (last.startsWith('--')) return `flag needs an argument: ${last}`;
    return `flag needs an argument: '${last.at(-1)}' in ${last}`;
  }
  if (code !== 'commander.unknownOption') return message;
  const name = flag.split('=')[0]!;
  return name.startsWith('--') ? `unknown flag: ${name}` : `unknown shorthand flag: '${name[1]}' in ${name}`;
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
