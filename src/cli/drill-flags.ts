import {parseDuration} from '../sdk/index.js';
import type {CheckOptions} from '../sidecar/index.js';
import type {Call, Flag} from './command.js';
import {keyValues} from './key-values.js';

/** What a drill starts on what it restored. */
export const DRILL_FLAGS: readonly Flag[] = [
  {
    name: 'check',
    type: 'command',
    summary: "Shell command that has to succeed in the application's container",
  },
  {name: 'check-alone', summary: 'Run the check instead of the application'},
  {name: 'check-env', type: 'list', summary: 'Set environment variables of that container'},
  {name: 'check-timeout', type: 'duration', summary: 'Time for the check to succeed (default 60s)'},
  {name: 'image', type: 'string', summary: "Its image, instead of the application's own"},
  {name: 'target', type: 'list', summary: 'Where it has a volume: VOLUME=/PATH'},
];

export function checkOptionsOf(call: Call): CheckOptions {
  const timeout = call.value('check-timeout');
  const env = call.values('check-env');
  const targets = keyValues(call.values('target'));
  return {
    check: call.value('check'),
    checkAlone: call.has('check-alone'),
    image: call.value('image'),
    ...(env.length > 0 && {env}),
    ...(Object.keys(targets).length > 0 && {targets}),
    ...(timeout !== undefined && {timeoutMs: parseDuration(timeout)}),
  };
}
