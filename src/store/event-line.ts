/**
 * An event as a line of the journal, made to be written by a C program without any JSON:
 *
 *     1764375398.123456789 container die 2b0c… image=busybox name=web exitCode=137 ;
 *
 * Time (seconds and nine digits since 1970), type, action, id of the object ("-" for none), attributes, and a semicolon,
 * with single spaces between. All but printable ASCII, and " % = ;", stand as %XX in UTF-8. A newline goes before as well as
 * after: should a writer die in the middle of a line, only that one is lost. What does not end in " ;" is no event.
 */

import {EVENT_EXEC_ID, EVENT_EXIT_CODE, EVENT_TIME} from '../binding/index.js';

export interface JournalEvent {
  /** Nanoseconds since 1970. */
  readonly timeNs: bigint;
  /** `container`, `image`, `volume`, … */
  readonly type: string;
  /** `start`, `die`, `exec_create: sh -c …` */
  readonly action: string;
  /** '' for what is about no object: `prune`. */
  readonly id: string;
  readonly attributes: Readonly<Record<string, string>>;
}

export function encodeEvent(event: JournalEvent): string {
  const digits = String(event.timeNs).padStart(10, '0');
  return line(`${digits.slice(0, -9)}.${digits.slice(-9)}`, event);
}

/** For a monitor to write: it puts in the time, and the attributes that are named. */
export function encodeEventToCome(event: JournalEvent, ...attributes: readonly AttributeToCome[]): string {
  return line(
    EVENT_TIME,
    event,
    attributes.map(name => `${name}=${TO_COME[name]}`),
  );
}

type AttributeToCome = 'execID' | 'exitCode';

const TO_COME: Readonly<Record<AttributeToCome, string>> = {
  execID: EVENT_EXEC_ID,
  exitCode: EVENT_EXIT_CODE,
};

function line(
  time: string,
  {type, action, id, attributes}: JournalEvent,
  more: readonly string[] = [],
): string {
  const words = Object.entries(attributes).map(
    ([key, value]) => `${percentEncode(key)}=${percentEncode(value)}`,
  );
  const fields = [time, percentEncode(type), percentEncode(action), percentEncode(id) || '-'];
  return `\n${[...fields, ...words, ...more, ';'].join(' ')}\n`;
}

/** Undefined for an empty line, half a line, and anything else that is no event. */
export function decodeEvent(line: string): JournalEvent | undefined {
  const [time = '', type = '', action = '', id = '', ...rest] = line.split(' ');
  const [, seconds, nanoseconds] = /^(\d{1,12})\.(\d{9})$/.exec(time) ?? [];
  if (seconds === undefined || nanoseconds === undefined || id === '' || rest.pop() !== ';') return undefined;
  const attributes: Record<string, string> = {};
  try {
    for (const word of rest) {
      const equals = word.indexOf('=');
      if (equals === -1) return undefined;
      setOwn(
        attributes,
        decodeURIComponent(word.slice(0, equals)),
        decodeURIComponent(word.slice(equals + 1)),
      );
    }
    return {
      timeNs: BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds),
      type: decodeURIComponent(type),
      action: decodeURIComponent(action),
      id: id === '-' ? '' : decodeURIComponent(id),
      attributes,
    };
  } catch {
    return undefined; // a % that begins nothing: two lines in one
  }
}

/** A label may be called anything, `__proto__` too. */
function setOwn(attributes: Record<string, string>, key: string, value: string): void {
  Object.defineProperty(attributes, key, {value, enumerable: true, configurable: true, writable: true});
}

function percentEncode(text: string): string {
  if (!UNSAFE.test(text)) return text;
  return text.replaceAll(EACH_UNSAFE, bytes =>
    [...Buffer.from(bytes)].map(byte => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join(''),
  );
}

const UNSAFE = /[^!-~]|[%=;]/;
const EACH_UNSAFE = /(?:[^!-~]|[%=;])+/g;
