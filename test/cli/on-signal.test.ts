import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {text} from 'node:stream/consumers';
import {fileURLToPath} from 'node:url';
import test from 'ava';

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

async function run(program: string) {
  const source = `import {onSignal} from ${JSON.stringify(module.href)};\n${program}`;
  const child = spawn(process.execPath, ['--import=tsx', '--input-type=module', '-e', source], {
    cwd: fileURLToPath(new URL('../../', import.meta.url)),
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [stdout, [, signal]] = await Promise.all([text(child.stdout), once(child, 'close')]);
  return {stdout, signal};
}
