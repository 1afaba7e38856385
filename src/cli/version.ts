import {release} from 'node:os';
import {arch, platform} from 'node:process';
import {VERSION} from '../sdk/index.js';
import type {Call, Command, Context} from './command.js';
import {goJson} from './go-json.js';
import {printFacts} from './print-facts.js';

export const command: Command = {
  name: 'version',
  usage: '[OPTIONS]',
  summary: 'Show the version of Coracle and of what it runs on',
  flags: [
    {
      name: 'format',
      short: 'f',
      type: 'string',
      summary: "Format output: 'json' as docker prints it, or a Go template",
    },
    {name: 'json', summary: 'Version and host as JSON on one line'},
  ],
  least: 0,
  most: 0,
  examples: ['coracle version', 'coracle version --json', "coracle version --format '{{.Server.Version}}'"],
  run,
};

async function run(call: Call, {stdout}: Context): Promise<number> {
  const facts = {
    Version: VERSION,
    NodeVersion: process.versions.node,
    Os: platform,
    Arch: arch,
  };
  const format = call.value('format') ?? '';
  if (call.has('json')) {
    stdout.write(`${goJson(facts)}\n`);
    return 0;
  }
  if (format !== '') {
    await printFacts('version', dockerVersion(), format, stdout);
    return 0;
  }
  stdout.write(`Coracle:\n Version:           ${facts.Version}\n`);
  stdout.write(` Node version:      ${facts.NodeVersion}\n OS/Arch:           ${facts.Os}/${facts.Arch}\n`);
  return 0;
}

/** Docker's document: there is no daemon, so client and server are one. */
function dockerVersion(): object {
  const facts = {
    Version: VERSION,
    ApiVersion: API_VERSION,
    GitCommit: '',
    GoVersion: '',
    Os: platform,
    Arch: arch === 'x64' ? 'amd64' : arch,
  };
  return {
    Client: {...facts, DefaultAPIVersion: API_VERSION, Context: 'default'},
    Server: {
      Platform: {Name: 'Coracle'},
      Components: [{Name: 'Node.js', Version: process.versions.node, Details: {}}],
      ...facts,
      KernelVersion: release(),
    },
  };
}

/** Whose fields and shapes the documents have. */
const API_VERSION = '1.50';
