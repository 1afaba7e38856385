import type {Command} from './command.js';
import {inspect} from './inspect.js';

export const command: Command = {
  name: 'volume inspect',
  usage: '[OPTIONS] VOLUME [VOLUME...]',
  summary: 'Display detailed information on one or more volumes',
  flags: [{name: 'format', short: 'f', type: 'string', summary: "Format output: 'json', one line"}],
  least: 1,
  most: Number.POSITIVE_INFINITY,
  examples: ['coracle volume inspect data'],
  run: (call, context) => inspect(call, context, 'volume'),
};
