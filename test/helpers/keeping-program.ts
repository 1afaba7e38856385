/**
 * A program that is to be killed while a container that stays runs at its side. Arguments: the root and the run-time directory.
 * Prints the id of the container, and the pids of its process and of the launcher.
 */
import {setTimeout as sleep} from 'node:timers/promises';
import {Container, Runtime} from '../../src/index.js';

const [root, run] = process.argv.slice(2);
const runtime = await Runtime.open({root: root!, run: run!, waiting: 0});
const kept = await Container.create('host-shell', {command: ['sleep', '1000']}, {runtime});
const container = await kept.start();
console.log(container.id, container.pid, runtime.launcher().pid);
await sleep(2 ** 30);
