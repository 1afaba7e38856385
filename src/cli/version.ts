import {arch, platform} from 'node:process';
import {VERSION} from '../sdk/index.js';
import type {Call, Command, Context} from './command.js';
import {goJson} from './go-json.js';

export const command: Command = {
  name: 'version',
  usage: '[OPTIONS]',
  summary: 'Show the version of Coracle and of what it runs on',
  flags: [
    {name: 'format', short: 'f', type: 'string', summary: "Format output: 'json', one line"},
    {name: 'json', summary: 'The same as --format json'},
  ],
  least: 0,
  most: 0,
  examples: ['coracle version', 'coracle version --json'],
  run,
};

async function run(call: Call, {stdout}: Context): Promise<number> {
  const facts = {
    Version: VERSION,
    NodeVersion: process.versions.node,
    Os: platform,
    Arch: arch,
  };
  if (call.has('json') || call.value('format') === 'json') {
    stdout.write(`${goJson(facts)}\n`);
    return 0;
  }
  stdout.write(`Coracle:\n Version:           ${facts.Version}\n`);
  stdout.write(` Node version:      ${facts.NodeVersion}\n OS/Arch:           ${facts.Os}/${facts.Arch}\n`);
  return 0;
}
