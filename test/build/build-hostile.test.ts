/** What strangers write: Dockerfiles, patterns and contexts that are made to break or to stop whoever reads them. */
import {symlinkSync} from 'node:fs';
import {join} from 'node:path';
import {Readable} from 'node:stream';
import test from 'ava';
import {compileGlob, ignoreRules} from '../../src/build/path-patterns.js';
import {type CoracleError, Image} from '../../src/index.js';
import {parseDockerfile} from '../../src/sdk/dockerfile/index.js';
import {TAR_END, tarHeader} from '../../src/store/write-tar.js';
import {cases, random} from '../conformance/dockerfiles.mjs';
import {buildFolder, buildsIn} from '../helpers/builds.js';
import {ownRuntime} from '../helpers/own-runtime.js';
import {asRoot} from '../helpers/requires.js';

const own = ownRuntime();
const {build, inside} = buildsIn(own);
const ROUNDS = process.env['CORACLE_TEST_LONG'] === undefined ? 1500 : 300_000;
const SEED = Number(process.env['CORACLE_TEST_SEED'] ?? Math.floor(Math.random() * 2 ** 32));

test(`whatever a Dockerfile has in it, it is read or refused with a line (${ROUNDS} random ones)`, t => {
  t.log(`CORACLE_TEST_SEED=${SEED}`);
  const below = random(SEED);
  for (const {Op, Text} of cases(SEED, ROUNDS)) {
    const bytes = Buffer.from(Op === 'parse' ? `FROM a\n${Text}` : `FROM a\nENV x=${Text}\nRUN ${Text}\n`);
    // One byte is another one, or ends it.
    const at = below(bytes.length);
    bytes[at] = below(256);
    try {
      parseDockerfile(below(4) === 0 ? bytes.subarray(0, at) : bytes);
    } catch (error) {
      const {code, details} = error as CoracleError;
      if (code !== 'ERR_DOCKERFILE_SYNTAX' || typeof details['line'] !== 'number') {
        t.fail(`${JSON.stringify(bytes.toString('latin1'))}: ${error}`);
        return;
      }
    }
  }
  t.pass();
});

test('a pattern takes no longer than its length and the path ask for', t => {
  const path = `${'a'.repeat(200)}/${'b'.repeat(50)}`;
  t.false(compileGlob(`${'*a'.repeat(100)}c`)(path));
  t.false(ignoreRules(`${'**/a*'.repeat(100)}c`).match(path, undefined).excluded);
  t.true(ignoreRules('*'.repeat(1000)).match('anything', undefined).excluded);
  t.throws(() => ignoreRules('x\n'.repeat(20_000)), {code: 'ERR_INVALID_OPTION'});
  for (const pattern of ['[', '[a', '[a-', '[]', 'a\\', '[\\'])
    t.throws(() => compileGlob(pattern), {code: 'ERR_INVALID_OPTION'}, pattern);
});

asRoot(
  'symlinks of an image lead nowhere but into the image, for files, archives, directories and owners',
  async t => {
    const image = await build(t, {
      f: 'file',
      Dockerfile: `FROM host-shell
RUN mkdir /o && ln -s /../../../../../../tmp /o/up && ln -s loop /o/loop && ln -s /o /way
COPY f /o/up/coracle-must-not-be-here
COPY --chown=0 f /way/g
WORKDIR /o/up/w
`,
    });
    t.is(await inside(image, 'ls /tmp /o'), '/o:\ng\nloop\nup\n\n/tmp:\ncoracle-must-not-be-here\nw\n');
    const {existsSync} = await import('node:fs');
    t.false(existsSync('/tmp/coracle-must-not-be-here'));
    await t.throwsAsync(build(t, {f: '', Dockerfile: 'FROM host-shell\nRUN ln -s l /l\nCOPY f /l/x\n'}), {
      code: 'ERR_PATH_CONFLICT',
    });
  },
);

asRoot('an archive as a context leads nowhere but into itself', async t => {
  const runtime = await own.runtime;
  const dockerfile = {text: 'FROM host-shell\nCOPY . /o\n'};
  const from = (...entries: Buffer[]) =>
    Image.build(Readable.from([Buffer.concat([...entries, TAR_END])]), {dockerfile}, {runtime});
  const file = (path: string) => tarHeader({type: 'file', path, size: 0});
  await t.throwsAsync(from(file('../out')), {code: 'ERR_INVALID_LAYER'});
  const link = tarHeader({type: 'symlink', path: 'link', target: '/'});
  const image = await from(link, file('link/in'));
  t.regex(await inside(image, 'ls /o'), /^in\nlink\n$/);
});

asRoot('a mount that a Dockerfile asks for shows nothing of the host', async t => {
  const folder = buildFolder(t, {f: ''});
  symlinkSync('/etc', join(folder, 'etc'));
  const mount = (source: string) => ({
    dockerfile: {text: `FROM host-shell\nRUN --mount=type=bind,source=${source},target=/m ls /m\n`},
    network: 'none',
  });
  const runtime = await own.runtime;
  for (const source of ['etc', '../../../../etc/passwd', '/etc/passwd'])
    await t.throwsAsync(Image.build(folder, mount(source), {runtime}), {code: 'ERR_BUILD_SOURCE'}, source);
});
