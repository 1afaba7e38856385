import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {text} from 'node:stream/consumers';
import {fileURLToPath} from 'node:url';
import test from 'ava';
import {endOf} from '../../src/cli/on-signal.js';
import {whileInterruptible} from '../../src/cli/while-interruptible.js';

const module = new URL('../../src/cli/on-signal.ts', import.meta.url);

test('a signal goes to those who listen at that moment', async t => {
  const {stdout} = await run(`
    const stop = onSignal(signal => console.log('first:', signal));
    process.once('SIGUSR1', () => {
      stop();
      onSignal(signal => {
        console.log('second:', signal);
        process.exit();
      });
      process.kill(process.pid, 'SIGUSR2');
    });
    process.kill(process.pid, 'SIGUSR1');
    setInterval(() => {}, 1000);
  `);
  t.is(stdout, 'first: SIGUSR1\nsecond: SIGUSR2\n');
});

test('a signal that nobody listens for any more ends the process', async t => {
  const {stdout, signal} = await run(`
    onSignal(() => console.log('heard'))();
    console.log('nobody listens');
    process.kill(process.pid, 'SIGTERM');
    setInterval(() => {}, 1000);
  `);
  t.like({stdout, signal}, {stdout: 'nobody listens\n', signal: 'SIGTERM'});
});

test('a signal that ends a program has the code of a shell; one that lets it go on has none', t => {
  t.deepEqual((['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGCONT'] as const).map(endOf), [130, 143, 129, undefined]);
});

test('what is stopped and let go on is not interrupted', async t => {
  const listeners: ((signal: NodeJS.Signals) => void)[] = [];
  const onSignal = (listener: (signal: NodeJS.Signals) => void) => {
    listeners.push(listener);
    return () => {};
  };
  const done = whileInterruptible({onSignal}, 'the pull', async signal => {
    for (const tell of listeners) tell('SIGCONT');
    signal.throwIfAborted();
    for (const tell of listeners) tell('SIGTERM');
    signal.throwIfAborted();
  });
  await t.throwsAsync(done, {message: 'the pull was interrupted by SIGTERM'});
});

async function run(program: string) {
  const source = `import {onSignal} from ${JSON.stringify(module.href)};\n${program}`;
  const child = spawn(process.execPath, ['--import=tsx', '--input-type=module', '-e', source], {
    cwd: fileURLToPath(new URL('../../', import.meta.url)),
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [stdout, [, signal]] = await Promise.all([text(child.stdout), once(child, 'close')]);
  return {stdout, signal};
}
