/**
 * A program that is to be killed while a container of its own is paused. Arguments: the root and the run-time directory.
 * Prints the pids of container and launcher once it is.
 */
import {setTimeout as sleep} from 'node:timers/promises';
import {Container, Runtime} from '../../src/index.js';

const [root, run] = process.argv.slice(2);
const runtime = await Runtime.open({root: root!, run: run!});
const container = await Container.run('host-shell', {command: ['sleep', '1000']}, {runtime});
await container.pause();
console.log(container.pid, runtime.launcher().pid);
await sleep(2 ** 30);
