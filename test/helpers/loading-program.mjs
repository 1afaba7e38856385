/**
 * A program that works on a store until somebody kills it: starts containers of every kind and ends them. Arguments: a seed
 * for its choices, the directory to mount, the shell script of a container. Prints a line once the store is open.
 */
import {Container, Runtime} from '../../dist/index.js';

let [state, shared, script] = process.argv.slice(2);
state = Number(state);
const runtime = await Runtime.open();
const call = {runtime};

/** Numerical Recipes' generator: enough to choose by. */
function oneOf(choices) {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return choices[(state >>> 8) % choices.length];
}

// No beginning of an id can be one of these.
const name = () => oneOf(['x0', 'x1', 'x2', 'x3', 'x4', 'x5']);
const policy = () => oneOf(['no', 'no', 'always', 'unless-stopped', 'on-failure']);
const command = () => ['sh', '-c', script, oneOf(['stay', 'stay', 'end', 'fail'])];
const mounts = [{type: 'bind', source: shared, target: '/w'}];
const limits = {processes: 16};
const found = () => Container.get(name(), call);
const choices = {
  runDetached: () =>
    Container.runDetached(
      'shell',
      {name: name(), command: command(), mounts, limits, restart: {name: policy()}},
      call,
    ),
  runDetachedOnce: () =>
    Container.runDetached(
      'shell',
      {name: name(), command: command(), mounts, limits, autoRemove: true},
      call,
    ),
  run: async () => {
    const volume = {type: 'volume', target: '/v'};
    const running = await Container.run('shell', {command: ['true'], mounts: [volume], limits}, call);
    await running.exit;
  },
  runKept: async () => {
    const container = await Container.create(
      'shell',
      {name: name(), command: command(), mounts, limits},
      call,
    );
    const running = await container.start();
    setTimeout(() => running.kill().catch(() => {}), 30);
    await running.exit;
  },
  start: async () => (await found()).startDetached(),
  stop: async () => (await found()).stop({timeoutMs: 0}),
  restart: async () => (await found()).restart({timeoutMs: 0}),
  kill: async () => (await found()).kill(),
  exec: async () => (await found()).capture(['true']),
  pause: async () => (await found()).pause(),
  rename: async () => (await found()).rename(name()),
  remove: async () => (await found()).remove({force: true, volumes: true}),
};

async function work() {
  for (;;) {
    try {
      await choices[oneOf(Object.keys(choices))]();
    } catch (error) {
      // Others work on the same containers, and are killed amid it: what an error of ours says is true. Any other is a fault.
      if (!/^ERR_(?!INTERNAL)/.test(error.code) || error instanceof TypeError) console.error(error);
    }
    await new Promise(resolve => setImmediate(resolve));
  }
}

console.log('loading');
await Promise.all([work(), work(), work()]);
