import {CoracleError} from '../errors.js';
import type {Check} from '../sdk/index.js';
import type {Call, Command, Context, Output} from './command.js';
import {goJson} from './go-json.js';
import {escapeControl} from './print-list.js';

export const command: Command = {
  name: 'doctor',
  usage: '[OPTIONS]',
  summary: 'Say what this host can enforce, and how to lift each limit',
  flags: [{name: 'json', summary: 'As one JSON document'}],
  least: 0,
  most: 0,
  examples: ['coracle doctor', 'coracle doctor --json'],
  run,
};

const MARKS = {yes: 'yes', no: 'no', broken: 'BROKEN'} as const satisfies Record<Check['status'], string>;

/** 0 when containers can run here, 1 when not. */
async function run(call: Call, {sdk, stdout}: Context): Promise<number> {
  const checks = await examine(sdk);
  if (call.has('json')) stdout.write(`${goJson({checks})}\n`);
  else printChecks(checks, stdout);
  return checks.some(({status}) => status === 'broken') ? 1 : 0;
}

/** A host on which the runtime cannot even be opened is what this command is for. */
async function examine(sdk: Context['sdk']): Promise<readonly Check[]> {
  try {
    return await (await sdk()).doctor();
  } catch (error) {
    if (!(error instanceof CoracleError)) throw error;
    return [{name: 'runtime', status: 'broken', reason: error.message, remedy: error.hint ?? ''}];
  }
}

function printChecks(checks: readonly Check[], stdout: Output): void {
  const width = Math.max(...checks.map(({name}) => name.length));
  for (const {name, status, reason, remedy} of checks) {
    stdout.write(`${name.padEnd(width)}  ${MARKS[status].padEnd(6)}  ${escapeControl(reason)}\n`);
    if (remedy !== '') stdout.write(`${' '.repeat(width + 2)}        ${escapeControl(remedy)}\n`);
  }
}
