/** A build that is killed, at any moment: what was there is there, and the next open leaves nothing else. */
import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {existsSync, mkdtempSync, readdirSync} from 'node:fs';
import {rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {setTimeout as sleep} from 'node:timers/promises';
import {fileURLToPath} from 'node:url';
import test from 'ava';
import {Image, Runtime} from '../../src/index.js';
import {buildFolder} from '../helpers/builds.js';
import {asRoot} from '../helpers/requires.js';
import {storeProblems} from '../helpers/store-problems.js';
import {until} from '../helpers/world.js';

const CORACLE = fileURLToPath(new URL('../../bin/coracle.cjs', import.meta.url));
const ROUNDS = process.env['CORACLE_TEST_LONG'] === undefined ? 2 : 100;

const folder = mkdtempSync(join(tmpdir(), 'coracle-test-'));
test.after.always(() => rm(folder, {recursive: true, force: true}));
const [root, run] = [join(folder, 'root'), join(folder, 'run')];

asRoot.serial(
  'a build that is killed leaves nothing that the next open does not clean, secrets least of all',
  async t => {
    t.timeout(3_600_000);
    const context = buildFolder(t, {
      Dockerfile: `FROM host-shell AS one
COPY Dockerfile /a/
RUN --mount=type=secret,id=s cat /run/secrets/s >/dev/null; echo 1 >/1
FROM host-shell
RUN --mount=type=cache,target=/c echo >>/c/x; sleep 0.1
COPY --from=one /1 /
RUN sleep 0.1; rm /1
`,
    });
    const before = await Runtime.open({root, run, waiting: 0});
    await Image.hostShell({runtime: before});
    await before.close();
    for (let round = 0; round < ROUNDS; round++) {
      const child = spawn(
        process.execPath,
        [
          CORACLE,
          'build',
          '--network',
          'none',
          '--no-cache',
          '-t',
          'built',
          '--secret',
          'id=s,env=S',
          context,
        ],
        {
          env: {...process.env, CORACLE_ROOT: root, CORACLE_RUN: run, S: 'hidden'},
          stdio: ['ignore', 'pipe', 'ignore'],
        },
      );
      const steps = 1 + Math.floor(Math.random() * 8);
      let seen = 0;
      for await (const chunk of child.stdout) {
        seen += String(chunk).split('\n').length - 1;
        if (seen >= steps) break;
      }
      await sleep(Math.random() * 60);
      child.kill('SIGKILL');
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
      const live = await openAgain();
      t.deepEqual(storeProblems(root), [], `round ${round}`);
      // The launcher outlives the killed program for a moment, and nobody takes anything from one that lives.
      const places = [join(root, 'transient'), join(live, 'containers'), join(live, 'secrets')];
      await until(`an open leaves nothing in ${places.join(', ')}`, async () => {
        await openAgain();
        return places.every(place => !existsSync(place) || readdirSync(place).length === 0);
      });
    }
  },
);

/** @returns the directory of what lives until the next boot */
async function openAgain(): Promise<string> {
  await using runtime = await Runtime.open({root, run, waiting: 0});
  return runtime.store.live;
}
