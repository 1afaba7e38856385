import type {Command} from './command.js';
import {FORMAT_FLAG, inspect} from './inspect.js';

export const command: Command = {
  name: 'network inspect',
  usage: '[OPTIONS] NETWORK [NETWORK...]',
  summary: 'Display detailed information on one or more networks',
  flags: [FORMAT_FLAG, {name: 'verbose', short: 'v', summary: 'Verbose output for diagnostics'}],
  least: 1,
  most: Number.POSITIVE_INFINITY,
  examples: [
    'coracle network inspect bridge',
    "coracle network inspect --format '{{range .IPAM.Config}}{{.Subnet}}{{end}}' bridge",
  ],
  run: (call, context) => inspect(call, context, 'network'),
};
