import type {Call, Context, Flag} from './command.js';
import {checkInteger} from './flag-checks.js';
import {parseInteger} from './parse-number.js';

/** How a container is brought to an end, for `stop` and `restart`. */
export const STOP_FLAGS: readonly Flag[] = [
  {name: 'signal', short: 's', type: 'string', summary: 'Signal to send to the container'},
  {
    name: 'timeout',
    short: 't',
    type: 'int',
    summary: 'Seconds to wait before killing the container',
    check: checkInteger,
  },
  {name: 'time', type: 'int', summary: '', check: checkInteger, hidden: true},
];

export function stopOptions(call: Call, {stderr}: Context) {
  if (call.value('time') !== undefined) {
    stderr.write('Flag --time has been deprecated, use --timeout instead\n');
  }
  const seconds = call.value('timeout') ?? call.value('time');
  const signal = call.value('signal');
  return {
    ...(seconds !== undefined && {timeoutMs: parseInteger(seconds) < 0 ? -1 : parseInteger(seconds) * 1000}),
    ...(signal !== undefined && {signal}),
  };
}
