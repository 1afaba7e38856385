import {mkdtempSync, readdirSync} from 'node:fs';
import {rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {Container, Image, Runtime} from '../../src/index.js';
import {buildFolder, buildsIn, counter} from '../helpers/builds.js';
import {assertNothingLeft, hostFootprint} from '../helpers/host-footprint.js';
import {ownRuntime, textOf} from '../helpers/own-runtime.js';
import {asRoot} from '../helpers/requires.js';

const own = ownRuntime();

const {build} = buildsIn(own);

for (const [steps, message] of [
  ['RUN ["/nope"]', 'exec: "/nope": stat /nope: no such file or directory'],
  ['SHELL ["/bin/nosh", "-c"]\nRUN true', 'exec: "/bin/nosh": stat /bin/nosh: no such file or directory'],
  ['USER nobodyx\nRUN true', 'unable to find user nobodyx: no matching entries in passwd file'],
] as const) {
  asRoot.serial(`a RUN that cannot start says why: ${steps}`, async t => {
    await t.throwsAsync(build(t, {Dockerfile: `FROM host-shell\n${steps}\n`}), {message});
  });
}

asRoot.serial('a RUN that fails says its code and where it stands, and leaves nothing', async t => {
  const runtime = await own.runtime;
  await build(t, {Dockerfile: 'FROM host-shell\nRUN true\n'}); // what is made once is made
  const before = hostFootprint(own.folder);
  const files = {Dockerfile: 'FROM host-shell\n\nRUN echo x >/x; exit 7\n'};
  const error = await t.throwsAsync(build(t, files, {tags: ['failed']}), {
    code: 'ERR_BUILD_FAILED',
    message: "The command '/bin/sh -c echo x >/x; exit 7' returned a non-zero code: 7",
  });
  t.like(error, {details: {exitCode: 7, file: 'Dockerfile', line: 3, instruction: 'RUN echo x >/x; exit 7'}});
  t.is(runtime.store.findImage('failed'), undefined);
  await assertNothingLeft(t, own.folder, before);
});

asRoot.serial('an aborted build rejects with the reason and leaves nothing', async t => {
  const before = hostFootprint(own.folder);
  const abort = new AbortController();
  const aborted = build(
    t,
    {Dockerfile: 'FROM host-shell\nRUN echo begun; sleep 60\n'},
    {
      signal: abort.signal,
      onProgress: ({type}) => void (type === 'output' && abort.abort(new Error('enough'))),
    },
  );
  await t.throwsAsync(aborted, {message: 'enough'});
  await assertNothingLeft(t, own.folder, before);
  t.deepEqual(readdirSync(join(own.root, 'work')), []);
});

asRoot.serial('the layers of steps stay when the image is removed, until builds are forgotten', async t => {
  const runtime = await own.runtime;
  const files = {Dockerfile: 'FROM host-shell\nRUN echo only here >/only\n'};
  const image = await build(t, files);
  const {Layers} = image.inspect()['RootFS'] as {Layers: string[]};
  const layer = Layers.at(-1)!.slice('sha256:'.length);
  const isThere = () => readdirSync(join(own.root, 'layers')).includes(layer);
  await image.remove();
  t.true(isThere());
  const {counted, onProgress} = counter();
  await (await build(t, files, {onProgress})).remove();
  t.is(counted.cached, 1);
  await runtime.store.forgetBuilds();
  t.false(isThere());
});

asRoot.serial(
  'the steps of an image that came from elsewhere are taken from it when it is named',
  async t => {
    const runtime = await own.runtime;
    const files = {Dockerfile: 'FROM host-shell\nENV a=1\nRUN date +%N >/now\n'};
    const image = await build(t, files, {tags: ['from-elsewhere']});
    await runtime.store.forgetBuilds();
    const {counted, onProgress} = counter();
    const again = await build(t, files, {cacheFrom: ['from-elsewhere', 'not-there'], onProgress});
    t.is(counted.cached, 2);
    t.is(again.id, image.id);
  },
);

asRoot.serial('where containers get copies of their images a RUN makes the same layer', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'coracle-test-'));
  t.teardown(() => rm(folder, {recursive: true, force: true}));
  const files = {
    Dockerfile:
      'FROM host-shell\nRUN mkdir /d && echo x >/d/x && rm -r /usr/bin/cut && chmod 700 /tmp\nCOPY Dockerfile /d/\n',
  };
  const changed = async (runtime: Runtime) => {
    await Image.hostShell({runtime});
    const image = await Image.build(buildFolder(t, files), {network: 'none'}, {runtime});
    const {Layers} = image.inspect()['RootFS'] as {Layers: string[]};
    const container = await Container.run(image.id, {command: ['sh', '-c', LIST]}, {runtime});
    return {layers: Layers.length, files: await textOf(container.stdout!)};
  };
  await using copying = await Runtime.open({
    root: join(folder, 'root'),
    run: join(folder, 'run'),
    waiting: 0,
    storageDriver: 'vfs',
  });
  t.deepEqual(await changed(copying), await changed(await own.runtime));
});

const LIST = "find /d /usr/bin /tmp -exec stat -c '%n %a %s' {} + | sort";
