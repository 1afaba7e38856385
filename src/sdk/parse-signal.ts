import {constants} from 'node:os';
import {CoracleError} from '../errors.js';

// signal(7): the C libraries keep the first two real-time signals of the kernel's (32, 33) to themselves.
const RTMIN = 34;
const RTMAX = 64;

/** `SIGTERM`, `TERM`, `term` or `15`, and `RTMIN+1`, as Docker takes them. @throws CoracleError `ERR_INVALID_OPTION` */
export function parseSignal(text: string): number {
  const number = /^\d+$/.test(text) ? Number(text) : signalNumber(text.toUpperCase().replace(/^SIG/, ''));
  if (number !== undefined && number >= 1 && number <= RTMAX) return number;
  const message = number ? `The linux daemon does not support signal ${number}` : `Invalid signal: ${text}`;
  throw new CoracleError('ERR_INVALID_OPTION', message, {
    hint: 'A name such as SIGTERM, TERM or RTMIN+1, or a number from 1 to 64.',
    details: {signal: text},
  });
}

/** The name of a signal's number: `SIGKILL` for 9, `SIGRTMIN+1` for 35. */
export function signalName(number: number): string {
  if (number >= RTMIN && number <= RTMAX) return number === RTMIN ? 'SIGRTMIN' : `SIGRTMIN+${number - RTMIN}`;
  // SIGABRT comes before its older name SIGIOT in Node's table, SIGIO before SIGPOLL: the first one is the usual one.
  const found = Object.entries(constants.signals).find(([, value]) => value === number);
  return found === undefined ? `signal ${number}` : found[0];
}

function signalNumber(name: string): number | undefined {
  const realtime = /^RT(MIN|MAX)(?:([+-])(\d{1,2}))?$/.exec(name);
  if (realtime === null) return (constants.signals as Record<string, number>)[`SIG${name}`];
  const [, base, sign, offset] = realtime;
  if ((base === 'MIN' && sign === '-') || (base === 'MAX' && sign === '+')) return undefined;
  const number = base === 'MIN' ? RTMIN + Number(offset ?? 0) : RTMAX - Number(offset ?? 0);
  return number >= RTMIN && number <= RTMAX ? number : undefined;
}
