import {ClientError} from './cli-error.js';
import type {Call, Command, Context} from './command.js';
import {checkLabel} from './flag-checks.js';
import {keyValues} from './key-values.js';

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
      summary: 'Set driver specific options (default map[]): type, device and o, as mount(8) has them',
    },
  ],
  least: 0,
  most: 1,
  examples: [
    'coracle volume create data',
    'coracle volume create --label backup=daily data',
    'coracle volume create -o type=tmpfs -o device=tmpfs -o o=size=100m,uid=1000 scratch',
    'coracle volume create -o type=none -o o=bind -o device=/srv/data data',
    'coracle volume create -o type=nfs -o o=addr=192.0.2.7,nfsvers=4 -o device=:/export data',
  ],
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
  const driver = call.value('driver');
  const driverOptions = keyValues(call.values('opt'));
  const created = await (await sdk()).createVolume({
    labels: keyValues(call.values('label')),
    ...(driver !== undefined && {driver}),
    ...(Object.keys(driverOptions).length > 0 && {driverOptions}),
    ...(name !== undefined && {name}),
  });
  stdout.write(`${created}\n`);
  return 0;
}
