import type {Command} from './command.js';
import {FORMAT_FLAG, inspect} from './inspect.js';

export const command: Command = {
  name: 'volume inspect',
  usage: '[OPTIONS] VOLUME [VOLUME...]',
  summary: 'Display detailed information on one or more volumes',
  flags: [FORMAT_FLAG],
  least: 1,
  most: Number.POSITIVE_INFINITY,
  examples: ['coracle volume inspect data'],
  // Docker's own command never looks at the raw JSON of a volume.
  run: (call, context) => inspect(call, context, 'volume', {fallback: false}),
};
