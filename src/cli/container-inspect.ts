import type {Command} from './command.js';
import {inspect} from './inspect.js';

export const command: Command = {
  name: 'container inspect',
  usage: '[OPTIONS] CONTAINER [CONTAINER...]',
  summary: 'Display detailed information on one or more containers',
  flags: [
    {name: 'format', short: 'f', type: 'string', summary: "Format output: 'json', one line"},
    {name: 'size', short: 's', summary: 'Display total file sizes'},
  ],
  least: 1,
  most: Number.POSITIVE_INFINITY,
  examples: ['coracle container inspect web'],
  run: (call, context) => inspect(call, context, 'container'),
};
