import {CoracleError} from '../errors.js';
import {ClientError} from './cli-error.js';
import type {Call, Command, Context} from './command.js';
import {checkLabel} from './flag-checks.js';

export const command: Command = {
  name: 'volume create',
  usage: '[OPTIONS] [VOLUME]',
  summary: 'Create a volume',
  flags: [
    {name: 'driver', short: 'd', type: 'string', summary: 'Specify volume driver name (default "local")'},
    {name: 'label', type: 'list', summary: 'Set metadata for a volume', check: checkLabel},
    {name: 'name', type: 'string', summary: '', hidden: true},
    {
      name: 'opt',
      short: 'o',
      type: 'map',
      summary: '',
      unsupported: 'drivers and their options come with a later release',
    },
  ],
  least: 0,
  most: 1,
  examples: ['coracle volume create data', 'coracle volume create --label backup=daily data'],
  run,
};

async function run(call: Call, {sdk, stdout}: Context): Promise<number> {
  const flagged = call.value('name');
  if (flagged !== undefined && call.words.length > 0) {
    throw new ClientError(
      'conflicting options: cannot specify a volume-name through both --name and as a positional arg',
    );
  }
  const name = call.words[0] ?? flagged;
  const driver = call.value('driver') ?? 'local';
  if (driver !== 'local') {
    const plugin = `error looking up volume plugin ${driver}: plugin ${JSON.stringify(driver)} not found`;
    throw new CoracleError('ERR_INVALID_OPTION', name === undefined ? plugin : `create ${name}: ${plugin}`);
  }
  const labels = Object.fromEntries(
    call.values('label').map(text => {
      const [key = '', ...value] = text.split('=');
      return [key, value.join('=')];
    }),
  );
  stdout.write(`${await (await sdk()).createVolume({labels, ...(name !== undefined && {name})})}\n`);
  return 0;
}
