import {type ContainerState, dockerExitCode} from '../sdk/index.js';
import {displayablePorts} from './displayable-ports.js';
import {goQuote} from './go-quote.js';
import {humanSize} from './human-size.js';
import {goTime, humanDuration} from './human-time.js';
import type {ContainerSummary} from './sdk.js';

export interface RowStyle {
  readonly truncate: boolean;
  /** Milliseconds since 1970. */
  readonly now: number;
}

/** A line of `docker ps`: the placeholders that its `--format` knows, in the order of its JSON. */
export function containerRow(container: ContainerSummary, {truncate, now}: RowStyle) {
  const {id, name, image, argv, created, state, health, labels, mounts, networks, ports} = container;
  return {
    Command: goQuote(truncate ? shortened(commandLine(argv), 20) : commandLine(argv)),
    CreatedAt: goTime(new Date(created)),
    ID: truncate ? id.slice(0, 12) : id,
    Image: truncate
      ? image
          .replace(/^sha256:([a-f0-9]{12})[a-f0-9]{52}$/, '$1')
          .replace(/@sha256:.*$/, '')
          .replace(/^(?:index\.)?docker\.io\/(?:library\/)?/, '')
      : image,
    Labels: joinLabels(labels),
    LocalVolumes: String(mounts.filter(({type}) => type === 'volume').length),
    Mounts: mounts.map(({source}) => (truncate ? shortened(source, 15) : source)).join(','),
    Names: name,
    Networks: networks.map(network => network.name).join(','),
    Platform: null,
    Ports: displayablePorts(ports),
    RunningFor: `${humanDuration(now - Date.parse(created))} ago`,
    Size: sizeOf(container),
    State: state.status,
    Status: statusOf(state, now, health),
  };
}

/** `Up 3 seconds (healthy)`, `Exited (137) 5 minutes ago`. */
export function statusOf(state: ContainerState, now: number, health?: ContainerSummary['health']): string {
  switch (state.status) {
    case 'created':
      return 'Created';
    case 'running':
      return `Up ${humanDuration(now - Date.parse(state.startedAt))}${healthOf(health)}`;
    case 'paused':
      return `Up ${humanDuration(now - Date.parse(state.startedAt))} (Paused)`;
    case 'exited':
      return `Exited (${dockerExitCode(state.exit)}) ${humanDuration(now - Date.parse(state.finishedAt))} ago`;
    case 'restarting':
      return `Restarting (${dockerExitCode(state.exit)}) ${humanDuration(now - Date.parse(state.finishedAt))} ago`;
    case 'removing':
      return 'Removal In Progress';
    default:
      return state satisfies never;
  }
}

function healthOf(health: ContainerSummary['health']): string {
  if (health === undefined) return '';
  return health === 'starting' ? ' (health: starting)' : ` (${health})`;
}

/** `key=value` pairs in the order of their keys. */
export function joinLabels(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(([key, value]) => `${key}=${value}`);
  return pairs.sort().join(',');
}

/** dockerd's own way of writing a command in one line: words with spaces in single quotes. */
function commandLine([program = '', ...args]: readonly string[]): string {
  return [program, ...args.map(arg => (arg.includes(' ') ? `'${arg}'` : arg))].join(' ');
}

/** Docker's Ellipsis: so many characters, the last of them "…". */
export function shortened(text: string, characters: number): string {
  const all = [...text];
  return all.length > characters ? `${all.slice(0, characters - 1).join('')}…` : text;
}

function sizeOf({writableBytes = 0, totalBytes = 0}: ContainerSummary): string {
  const own = humanSize(writableBytes);
  return totalBytes > 0 ? `${own} (virtual ${humanSize(totalBytes)})` : own;
}
