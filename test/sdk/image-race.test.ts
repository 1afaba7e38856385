import {execFileSync} from 'node:child_process';
import {readdirSync} from 'node:fs';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {Container, Image, Runtime} from '../../src/index.js';
import {ownRuntime} from '../helpers/own-runtime.js';
import {asRoot} from '../helpers/requires.js';
import {storeProblems} from '../helpers/store-problems.js';

/** Images that another process removes between the look at them and the container that has them. */

const own = ownRuntime();
const CORACLE = fileURLToPath(new URL('../../bin/coracle.cjs', import.meta.url));

function removeElsewhere(name: string): void {
  const env = {...process.env, CORACLE_ROOT: own.root, CORACLE_RUN: own.runDirectory};
  execFileSync(process.execPath, [CORACLE, 'image', 'rm', '--force', name], {env});
}

/** A runtime that has an image removed under its hands, once. */
async function robbed(at: 'create' | 'openShared'): Promise<Runtime> {
  const runtime = await Runtime.open({root: own.root, run: own.runDirectory, waiting: 0});
  await Image.fromHost({name: 'raced', binaries: ['true'], env: {ONLY: 'raced'}}, {runtime});
  const {containers} = runtime.store;
  if (at === 'create') {
    const create = containers.create.bind(containers);
    containers.create = (...args) => {
      removeElsewhere('raced');
      return create(...args);
    };
  } else {
    const openShared = runtime.openShared.bind(runtime);
    runtime.openShared = config => {
      removeElsewhere('raced');
      return openShared(config);
    };
  }
  return runtime;
}

for (const [at, act] of [
  ['create', (runtime: Runtime) => Container.create('raced', {}, {runtime})],
  ['openShared', (runtime: Runtime) => Container.run('raced', {command: ['true']}, {runtime})],
] as const) {
  const what = at === 'create' ? 'made' : 'started';
  asRoot.serial(
    `a container is not ${what} of an image that somebody removes meanwhile, and nothing is left`,
    async t => {
      await own.runtime;
      await using runtime = await robbed(at);
      await t.throwsAsync<Error>(async () => void (await act(runtime)), {
        code: 'ERR_IMAGE_NOT_FOUND',
        message: 'No such image: raced:latest',
      });
      for (const place of ['containers', 'names', 'transient'])
        t.deepEqual(readdirSync(join(own.root, place)), [], place);
      t.deepEqual(storeProblems(own.root), []);
    },
  );
}
