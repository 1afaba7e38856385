// Starts programs and times them, one line of JSON per request: {command, args} -> {ms} or {error}. A process of its own,
// with a small heap and perhaps in a view of the cgroups that a peer needs, since child_process.spawn forks: its cost
// grows with the memory of the program that calls it, and that would be charged to the peers.
import {spawn} from 'node:child_process';
import {createInterface} from 'node:readline';

for await (const line of createInterface(process.stdin)) {
  process.stdout.write(`${JSON.stringify(await once(JSON.parse(line)))}\n`);
}

/** From the call of spawn to the exit event. */
function once({command, args, env}) {
  return new Promise(resolve => {
    const begin = performance.now();
    const child = spawn(command, args, {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: {...process.env, ...env},
    });
    let words = '';
    child.stderr.on('data', bytes => {
      words += bytes;
    });
    child.once('error', error => resolve({error: error.message}));
    child.once('exit', (code, signal) => {
      const ms = performance.now() - begin;
      if (code === 0) resolve({ms});
      else child.once('close', () => resolve({error: `${code ?? signal}: ${words.trim().slice(-400)}`}));
    });
  });
}
