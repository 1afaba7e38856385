import type {Command} from './command.js';
import {FORMAT_FLAG, inspect} from './inspect.js';

export const command: Command = {
  name: 'container inspect',
  usage: '[OPTIONS] CONTAINER [CONTAINER...]',
  summary: 'Display detailed information on one or more containers',
  flags: [FORMAT_FLAG, {name: 'size', short: 's', summary: 'Display total file sizes'}],
  least: 1,
  most: Number.POSITIVE_INFINITY,
  examples: ['coracle container inspect web'],
  run: (call, context) => inspect(call, context, 'container'),
};
