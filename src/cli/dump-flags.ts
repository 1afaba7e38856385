import type {DumpSidecar} from '../sidecar/index.js';
import {UsageError} from './cli-error.js';
import type {Call, Flag} from './command.js';

/** The sidecar that makes a dump, or reads one. */
export const DUMP_FLAGS: readonly Flag[] = [
  {
    name: 'dump-command',
    type: 'command',
    summary: 'Shell command of the sidecar: it prints the dump, or reads it',
  },
  {name: 'dump-container', type: 'container', summary: 'Container whose network the sidecar joins'},
  {name: 'dump-env', type: 'list', summary: 'Set environment variables of the sidecar'},
  {name: 'dump-image', type: 'string', summary: 'Its image, with the tools of the application'},
  {name: 'dump-link', type: 'list', summary: 'Or: containers that it finds by a name (NAME:ALIAS)'},
  {name: 'dump-network', type: 'network', summary: 'Or: the network that it is on'},
];

/** Undefined without any. @throws UsageError */
export function dumpSidecarOf(call: Call): DumpSidecar | undefined {
  const given = DUMP_FLAGS.find(({name}) => call.has(name));
  if (given === undefined) return undefined;
  const [image, command] = [call.value('dump-image'), call.value('dump-command')];
  if (image === undefined || command === undefined)
    throw new UsageError('a dump takes --dump-image and --dump-command', 1);
  const container = call.value('dump-container');
  const network = call.value('dump-network');
  const [links, env] = [call.values('dump-link'), call.values('dump-env')];
  return {
    image,
    command,
    ...(container !== undefined && {container}),
    ...(network !== undefined && {network}),
    ...(links.length > 0 && {links}),
    ...(env.length > 0 && {env}),
  };
}
