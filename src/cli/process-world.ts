import {ownTerminal} from './local-terminal.js';
import type {World} from './main.js';
import {onSignal} from './on-signal.js';
import {standardStream} from './standard-streams.js';

/** The world of this process. */
export function processWorld(): World {
  return {
    env: process.env,
    directory: process.cwd(),
    get stdin() {
      return process.stdin;
    },
    get stdout() {
      return standardStream('stdout');
    },
    get stderr() {
      return standardStream('stderr');
    },
    terminal: ownTerminal,
    now: Date.now,
    openSdk: async options => (await import('./open-sdk.js')).openSdk(options),
    onSignal,
  };
}
