import type {Command} from './command.js';
import {FORMAT_FLAG, inspect} from './inspect.js';

export const command: Command = {
  name: 'image inspect',
  usage: '[OPTIONS] IMAGE [IMAGE...]',
  summary: 'Display detailed information on one or more images',
  flags: [FORMAT_FLAG],
  least: 1,
  most: Number.POSITIVE_INFINITY,
  examples: ['coracle image inspect hello-world'],
  run: (call, context) => inspect(call, context, 'image'),
};
