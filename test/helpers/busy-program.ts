/**
 * A program that hosts containers, to be killed: starts one after another, short ones, long ones, ones that stay, until it
 * dies. Arguments: the root and the run-time directory. Prints a line once the first runs.
 */
import {Container, Runtime} from '../../src/index.js';

const [root, run] = process.argv.slice(2);
const runtime = await Runtime.open({root: root!, run: run!});
const limits = {memoryBytes: 64 * 1024 * 1024, processes: 16};
const call = {runtime};

async function keepStarting(): Promise<void> {
  for (;;) {
    const short = await Container.run('host-shell', {command: ['true'], limits}, call);
    const stays = await Container.create('host-shell', {command: ['sleep', '0.02'], limits}, call);
    const started = await stays.start();
    const long = await Container.run('host-shell', {command: ['sleep', '60'], limits}, call);
    await Promise.all([short.exit, started.exit]);
    await long[Symbol.asyncDispose]();
    await stays.remove({volumes: true});
  }
}

const starting = [keepStarting(), keepStarting(), keepStarting()];
console.log('busy');
await Promise.all(starting);
