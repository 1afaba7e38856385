import {fromBytes} from './byte-string.js';
import {DEFAULT_COMPAT, profileOf} from './compat.js';
import {Schema} from './docker-schema.js';
import {DOCKER_TYPES} from './docker-types.js';
import {readJson} from './json-read.js';
import {SYSTEM_TYPES} from './system-types.js';
import {compileForValues, type TemplateOptions} from './template.js';
import {TemplateError} from './template-error.js';
import {formatTime} from './time-format.js';
import {typedView} from './typed-view.js';
import {pointerTo, type Type} from './types.js';
import {field, mapIndex, sortedKeys, type Value, zeroData} from './value.js';

/** `docker events`, `info` and `version` with `--format`: one struct, one attempt. */
export type FactsKind = 'event' | 'info' | 'version';

interface FactsDescription {
  readonly struct: string;
  /** What Docker calls the template; errors have it. */
  readonly templateName: string;
  /** What it puts in front of an error while the template is made. */
  readonly prefix: string;
  /** It tries the template on an empty struct first, and takes what fails there for an error in the template. */
  readonly triesFirst: boolean;
}

const FACTS: Readonly<Record<FactsKind, FactsDescription>> = {
  event: {
    struct: 'events.Message',
    templateName: '',
    prefix: 'Error parsing format: ',
    triesFirst: true,
  },
  info: {
    struct: 'system.dockerInfo',
    templateName: '',
    prefix: 'template parsing error: ',
    triesFirst: false,
  },
  version: {
    struct: 'system.versionInfo',
    templateName: 'version',
    prefix: 'template parsing error: ',
    triesFirst: false,
  },
};

/** A format, compiled: `docker events` prints many things by one. The text ends with a newline. */
export type FactsFormat = (jsonText: string) => string;

/**
 * @param format `json`, or a template. Empty: the line that `docker events` prints; `info` and `version` have their own
 *   layout, which is not for this room
 * @throws TemplateError of kind 'parse', and from what it returns 'exec' and 'data', with the messages Docker prints
 */
export function compileFacts(
  kind: FactsKind,
  format: string,
  options: Pick<TemplateOptions, 'delims' | 'limits'> = {},
): FactsFormat {
  const {struct, templateName, prefix, triesFirst} = FACTS[kind];
  if (format === '' && kind === 'event') return text => fromBytes(eventLine(viewOf(struct, text)));
  const named = <T>(before: string, run: () => T): T => {
    try {
      return run();
    } catch (error) {
      if (!(error instanceof TemplateError)) throw error;
      error.message = before + withName(error.message, templateName);
      throw error;
    }
  };
  const render = named(prefix, () => compileForValues(format === 'json' ? '{{json .}}' : format, options));
  if (triesFirst) {
    const type = systemType(struct);
    named(prefix, () => asParseError(() => render({type: pointerTo(type), data: {data: zeroData(type)}})));
  }
  return text => named('', () => `${render(viewOf(struct, text))}\n`);
}

function asParseError(run: () => unknown): void {
  try {
    run();
  } catch (error) {
    if (!(error instanceof TemplateError) || error.kind !== 'exec') throw error;
    throw new TemplateError('parse', error.message, {...error, cause: error});
  }
}

/** A template that is not called anything is `template: :1` and `executing ""`. */
const withName = (message: string, name: string): string =>
  message.replace(/^template: :/, `template: ${name}:`).replace('executing ""', `executing "${name}"`);

let types: Schema | undefined;
function systemType(name: string): Type {
  types ??= new Schema([SYSTEM_TYPES, DOCKER_TYPES], profileOf(DEFAULT_COMPAT));
  return types.type(name);
}

function viewOf(struct: string, jsonText: string): Value {
  try {
    return typedView(systemType(struct), readJson(jsonText, 'number'));
  } catch (error) {
    throw new TemplateError('data', (error as Error).message, {cause: error});
  }
}

/** `2020-09-13T12:26:40.123456789Z container start abc (image=nginx, name=web)` */
function eventLine(event: Value): string {
  const get = (name: string, of = event): Value =>
    field(
      of,
      of.type.fields!.findIndex(known => known.name === name),
    );
  const [seconds, nanoseconds] = ['Time', 'TimeNano'].map(name => get(name).data as bigint) as [
    bigint,
    bigint,
  ];
  const moment = nanoseconds === 0n ? seconds * 1_000_000_000n : nanoseconds;
  const time = formatTime({nanoseconds: moment, offset: undefined}, '2006-01-02T15:04:05.000000000Z07:00');
  const actor = get('Actor');
  const attributes = get('Attributes', actor);
  const listed = sortedKeys(attributes).map(key => `${key}=${mapIndex(attributes, key).data}`);
  const words = [get('Type').data, get('Action').data, get('ID', actor).data];
  return `${moment === 0n ? '' : `${time} `}${words.join(' ')}${listed.length === 0 ? '' : ` (${listed.join(', ')})`}\n`;
}
