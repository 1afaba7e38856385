/** Where a detached container's output goes: Docker's log drivers and their options, checked and put into numbers. */
import type {Orders} from '../binding/index.js';
import {CoracleError} from '../errors.js';
import {checkOneOf, checkRecord, checkStringRecord, invalidOption} from './check-option.js';
import type {ContainerConfig} from './container-config.js';
import {processEnv} from './container-config.js';
import {envKey} from './env-key.js';
import {JOURNAL_SOCKET, journalFields} from './journal-fields.js';
import {parseSize} from './parse-size.js';
import type {LogOptions} from './run-options.js';

/** As the record has it. */
export interface LogConfig {
  readonly driver: 'json-file' | 'local' | 'journald' | 'none';
  /** As Docker names and writes them: `max-size`, `max-file`, … */
  readonly options: Readonly<Record<string, string>>;
}

export const DEFAULT_LOG: LogConfig = {driver: 'json-file', options: {}};

/** Docker's own drivers that send elsewhere. */
const ELSEWHERE = new Set([
  'awslogs',
  'etwlogs',
  'fluentd',
  'gcplogs',
  'gelf',
  'logentries',
  'splunk',
  'syslog',
]);

const ROTATION = ['compress', 'max-file', 'max-size'];
/** Of every driver. A container never waits for its log, so that they change nothing. */
const MODE = ['max-buffer-size', 'mode'];
const ATTRIBUTES = ['env', 'env-regex', 'labels', 'labels-regex', 'tag'];
const KNOWN: Readonly<Record<LogConfig['driver'], readonly string[]>> = {
  'json-file': [...MODE, ...ROTATION, ...ATTRIBUTES],
  journald: [...MODE, ...ATTRIBUTES],
  local: [...MODE, ...ROTATION],
  none: [],
};

/** @throws `ERR_INVALID_OPTION`, `ERR_UNSUPPORTED_OPTION` with dockerd's words */
export function checkLog(option: string, value: unknown): void {
  checkRecord(option, value, ['driver', 'options']);
  const {driver, options = {}} = value as LogOptions;
  if (typeof driver === 'string' && ELSEWHERE.has(driver)) {
    throw new CoracleError(
      'ERR_UNSUPPORTED_OPTION',
      `the log driver ${driver} is not supported by this release`,
      {
        hint: 'json-file, local, journald and none are; ship their files with a program of your own.',
        details: {option: `${option}.driver`},
      },
    );
  }
  if (typeof driver === 'string' && !Object.hasOwn(KNOWN, driver)) {
    throw invalidOption(`${option}.driver`, `logger: no log driver named '${driver}' is registered`);
  }
  checkOneOf(`${option}.driver`, driver, Object.keys(KNOWN));
  checkStringRecord(`${option}.options`, options);
  checkMode(`${option}.options`, options);
  for (const name of Object.keys(options)) {
    if (!KNOWN[driver].includes(name)) {
      throw invalidOption(`${option}.options`, `unknown log opt '${name}' for ${driver} log driver`);
    }
  }
  if (driver !== 'none') rotationOf({driver, options});
}

function checkMode(option: string, options: LogConfig['options']): void {
  const {mode = '', 'max-buffer-size': size} = options;
  if (!['', 'blocking', 'non-blocking'].includes(mode)) {
    throw invalidOption(option, `logger: logging mode not supported: ${mode}`);
  }
  if (size === undefined) return;
  if (mode !== 'non-blocking') {
    throw invalidOption(option, "logger: max-buffer-size option is only supported with 'mode=non-blocking'");
  }
  try {
    parseSize(size);
  } catch (error) {
    throw invalidOption(option, `error parsing option max-buffer-size: ${(error as Error).message}`);
  }
}

interface Rotation {
  /** 0 = never. */
  readonly bytes: number;
  readonly files: number;
  readonly compress: boolean;
}

/** The local driver rotates by itself, json-file when it is told to. */
export function rotationOf({driver, options}: LogConfig): Rotation {
  const isLocal = driver === 'local';
  // What Docker's local driver has by default is 20 times 1024 * 1024; what is written counts by 1000.
  const size = options['max-size'] ?? (isLocal ? '20971520' : '-1');
  const bytes = size === '-1' ? 0 : sizeOf(size);
  const files = wholeNumber(options['max-file'] ?? (isLocal ? '5' : '1'));
  const compress = truth(options['compress'] ?? String(isLocal && files > 1));
  if (compress && (files < 2 || bytes === 0)) {
    throw invalidOption(
      'log.options',
      'compress cannot be true when max-file is less than 2 or max-size is not set',
    );
  }
  return {bytes, files, compress};
}

function sizeOf(text: string): number {
  const bytes = parseSize(text, 1000);
  if (bytes <= 0) throw invalidOption('log.options', 'max-size must be a positive number');
  return bytes;
}

function wholeNumber(text: string): number {
  if (!/^[+-]?\d+$/.test(text)) {
    throw invalidOption('log.options', `strconv.Atoi: parsing ${JSON.stringify(text)}: invalid syntax`);
  }
  const files = Number(text);
  if (files < 1) throw invalidOption('log.options', 'max-file cannot be less than 1');
  return Math.min(files, 1000);
}

/** strconv.ParseBool */
function truth(text: string): boolean {
  if (/^(1|t|T|TRUE|true|True)$/.test(text)) return true;
  if (/^(0|f|F|FALSE|false|False)$/.test(text)) return false;
  throw invalidOption('log.options', `strconv.ParseBool: parsing ${JSON.stringify(text)}: invalid syntax`);
}

/** Docker's name for json-file; the other's format is our own affair. */
export function logNameOf({id, log = DEFAULT_LOG}: Pick<ContainerConfig, 'id' | 'log'>): string {
  return log.driver === 'local' ? 'local-log' : `${id}-json.log`;
}

export function logOrders(
  config: ContainerConfig,
): Pick<Orders, 'log' | 'logName' | 'logAttributes' | 'logBytes' | 'logFiles'> {
  const {log = DEFAULT_LOG} = config;
  if (log.driver === 'none') return {log: 'none', logName: '', logAttributes: '', logBytes: 0, logFiles: 1};
  if (log.driver === 'journald') {
    const fields = journalFields(config, logAttributes(config, log.options));
    return {log: 'journal', logName: JOURNAL_SOCKET, logAttributes: fields, logBytes: 0, logFiles: 1};
  }
  const {bytes, files} = rotationOf(log);
  const attributes = log.driver === 'json-file' ? logAttributes(config, log.options) : {};
  const written = Object.keys(attributes).length > 0 ? `,"attrs":${goMap(attributes)}` : '';
  return {
    log: log.driver === 'local' ? 'binary' : 'json',
    logName: logNameOf(config),
    logAttributes: written,
    logBytes: bytes,
    logFiles: files,
  };
}

/** What is repeated in each line: chosen labels and variables, and the tag. moby, daemon/logger/loginfo.go */
function logAttributes(
  config: ContainerConfig,
  options: LogConfig['options'],
): Readonly<Record<string, string>> {
  const attributes: Record<string, string> = {};
  const variables = Object.fromEntries(
    processEnv(config).map(variable => {
      const key = envKey(variable);
      return [key, variable.slice(key.length + 1)];
    }),
  );
  const take = (from: Readonly<Record<string, string>>, names = '', pattern = '') => {
    for (const name of names.split(',')) if (Object.hasOwn(from, name)) attributes[name] = from[name]!;
    if (pattern === '') return;
    const expression = new RegExp(pattern);
    for (const [name, value] of Object.entries(from)) if (expression.test(name)) attributes[name] = value;
  };
  take(config.labels, options['labels'], options['labels-regex']);
  take(variables, options['env'], options['env-regex']);
  const {tag = ''} = options;
  if (tag !== '') attributes['tag'] = fillTag(tag, config);
  return attributes;
}

/** The plain fields of Docker's tag templates. @throws `ERR_UNSUPPORTED_OPTION` for anything else in braces */
function fillTag(tag: string, {id, name, image}: ContainerConfig): string {
  const fields: Readonly<Record<string, string>> = {
    ID: id.slice(0, 12),
    FullID: id,
    Name: name,
    FullName: `/${name}`,
    ImageName: image.reference,
    ImageID: image.id.replace('sha256:', '').slice(0, 12),
    ImageFullID: image.id,
    DaemonName: 'docker',
  };
  return tag.replace(/\{\{(.*?)\}\}/g, (whole, inner: string) => {
    const [, field = ''] = /^\s*\.(\w+)\s*$/.exec(inner) ?? [];
    const value = fields[field];
    if (value !== undefined) return value;
    throw new CoracleError(
      'ERR_UNSUPPORTED_OPTION',
      `${whole} in a log's tag is not supported by this release`,
      {
        hint: `Known: ${Object.keys(fields)
          .map(known => `{{.${known}}}`)
          .join(' ')}`,
        details: {option: 'log.options'},
      },
    );
  });
}

/** As encoding/json writes a map: keys in order, and no `<`, `>` or `&`. */
function goMap(values: Readonly<Record<string, string>>): string {
  const sorted = Object.entries(values).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify(Object.fromEntries(sorted)).replace(
    /[<>&\u2028\u2029]/g,
    character => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
