/** Commands on containers that run meanwhile, as whole processes. */
import {execFile} from 'node:child_process';
import {fileURLToPath} from 'node:url';
import {ownRuntime} from '../helpers/own-runtime.js';
import {asRoot} from '../helpers/requires.js';

const own = ownRuntime();
const program = fileURLToPath(new URL('../../bin/coracle.cjs', import.meta.url));

async function coracle(words: readonly string[]): Promise<{stdout: string; stderr: string; code: number}> {
  await own.runtime; // which has the image
  const env = {...process.env, CORACLE_ROOT: own.root, CORACLE_RUN: own.runDirectory};
  return new Promise(resolve => {
    const child = execFile(process.execPath, [program, ...words], {env}, (_, stdout, stderr) =>
      resolve({stdout, stderr, code: child.exitCode ?? -1}),
    );
  });
}

asRoot('wait tells how one ended that removed itself, detached or at a terminal', async t => {
  const words = ['--name', 'passing', 'host-shell', 'sh', '-c', 'sleep 2.5; exit 7'];
  await coracle(['run', '-d', '--rm', ...words]);
  t.like(await coracle(['wait', 'passing']), {stdout: '7\n', code: 0});
  let isOver = false;
  const attached = coracle(['run', '--rm', ...words]).finally(() => {
    isOver = true;
  });
  let waited = await coracle(['wait', 'passing']);
  while (waited.code !== 0 && !isOver) waited = await coracle(['wait', 'passing']); // it is not there yet
  t.is(waited.stdout, '7\n');
  t.is((await attached).code, 7);
});

asRoot('starting one that runs is nothing to do, or to stay with it', async t => {
  await coracle(['run', '-d', '--name', 'up', 'host-shell', 'sh', '-c', 'sleep 1.5; echo hi; exit 4']);
  t.like(await coracle(['start', 'up', 'nope']), {
    stdout: 'up\n',
    stderr: 'Error response from daemon: No such container: nope\nError: failed to start containers: nope\n',
    code: 1,
  });
  t.like(await coracle(['start', 'up']), {stdout: 'up\n', stderr: '', code: 0});
  t.like(await coracle(['start', '--attach', 'up']), {stdout: 'hi\n', stderr: '', code: 4});
  await coracle(['rm', 'up']);
});
