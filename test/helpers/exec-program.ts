/**
 * A program that runs two commands in a container of somebody else's and ends: one detached, one not. Arguments: the root,
 * the run-time directory, the container. Prints the pids.
 */
import {Container, Runtime} from '../../src/index.js';

const [root, run, id] = process.argv.slice(2);
const runtime = await Runtime.open({root: root!, run: run!});
const container = await Container.get(id!, {runtime});
const detached = await container.exec(['sleep', '500'], {detached: true});
const attached = await container.exec(['sleep', '500']);
console.log(detached.pid, attached.pid);
await runtime.close();
