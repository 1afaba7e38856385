import {mkdirSync, readFileSync} from 'node:fs';
import {join} from 'node:path';
import {setTimeout as sleep} from 'node:timers/promises';
import {openDirectory, unlinkBelow} from '../../src/binding/index.js';
import type {Container, Image, RunningContainer} from '../../src/index.js';
import {ownRuntime} from '../helpers/own-runtime.js';
import {asRoot} from '../helpers/requires.js';
import {treeFacts, writeCorpus} from '../helpers/volume-corpus.js';

const own = ownRuntime();

/** Where what a container changes is on disk. */
function upperOf({runtime, id}: Container): string {
  return join(runtime.placesOf(runtime.readContainer(id)).writable, 'upper');
}

/** What a running container's processes see of a directory. */
function seenIn({pid}: RunningContainer, path: string): string[] {
  return treeFacts(`/proc/${pid}/root${path}`);
}

async function documentOf(image: Image) {
  const {store} = await own.runtime;
  const hex = image.id.slice('sha256:'.length);
  return JSON.parse(readFileSync(join(store.root, 'blobs/sha256', hex), 'utf8'));
}

asRoot('everything a container has made is in its image, in all that can be told of it', async t => {
  const container = await own.create({command: ['sleep', '1000']});
  const tree = join(upperOf(container), 'tree');
  mkdirSync(tree);
  writeCorpus(tree);
  {
    using directory = openDirectory(tree);
    unlinkBelow(directory.fd, '.wh.not-a-whiteout');
  }
  const running = await container.start();
  const before = seenIn(running, '/tree');
  const image = await container.commit({reference: 'corpus'});
  await using again = await own.run({command: ['sleep', '1000']}, 'corpus');
  t.deepEqual(seenIn(again, '/tree'), before);
  t.deepEqual((await documentOf(image)).rootfs.diff_ids.length, 2);
});

asRoot('what it has deleted, emptied and made anew stays so, at every depth', async t => {
  const make =
    'mkdir -p /t/a/b/c/d; for d in /t /t/a /t/a/b /t/a/b/c /t/a/b/c/d; do echo old >$d/f; echo old >$d/g; done';
  const first = await own.create({command: ['sh', '-c', `${make}; ln -s a /t/l`]});
  await (await first.start()).exit;
  await first.commit({reference: 'deep'});
  const change = [
    'rm /t/f /t/l',
    'rm -r /t/a/b/c/d && mkdir /t/a/b/c/d && echo new >/t/a/b/c/d/h',
    'mv /t/a/b/g /t/moved',
    'rm /t/a/b/c/g && mkdir /t/a/b/c/g && echo x >/t/a/b/c/g/was-a-file',
    'chmod 700 /t/a',
  ];
  const second = await own.create(
    {command: ['sh', '-c', `${change.join(' && ')} && exec sleep 1000`]},
    'deep',
  );
  const running = await second.start();
  while (readFileSync(`/proc/${running.pid}/comm`, 'utf8') !== 'sleep\n') await sleep(5);
  const before = seenIn(running, '/t');
  const changes = await second.diff();
  await second.commit({reference: 'deeper'});
  await using again = await own.run({command: ['sleep', '1000']}, 'deeper');
  t.deepEqual(seenIn(again, '/t'), before);
  t.true(changes.some(({kind, path}) => kind === 'D' && path === '/t/f'));
});

asRoot(
  'the image runs what the container ran, its changes applied; its history says how it came about',
  async t => {
    const container = await own.create({
      command: ['sh', '-c', 'touch /made'],
      env: {A: '1', B: '2'},
      labels: {kept: 'yes'},
      workdir: '/tmp',
    });
    await (await container.start()).exit;
    const image = await container.commit({
      reference: 'described:1',
      author: 'A. Author',
      message: 'as it should be',
      changes: ['ENV A=3 C=4\nLABEL more=\\', 'true', 'EXPOSE 80'],
    });
    const {config, history, author} = await documentOf(image);
    const {Env, ...others} = config;
    t.deepEqual(
      Env.filter((each: string) => !each.startsWith('PATH=')),
      ['A=3', 'B=2', 'C=4'],
    );
    t.deepEqual(others, {
      Cmd: ['sh', '-c', 'touch /made'],
      WorkingDir: '/tmp',
      Labels: {kept: 'yes', more: 'true'},
      ExposedPorts: {'80/tcp': {}},
    });
    t.is(author, 'A. Author');
    const {created, ...last} = history.at(-1);
    t.deepEqual(last, {author: 'A. Author', created_by: 'sh -c touch /made', comment: 'as it should be'});
    t.deepEqual(image.references, ['described:1']);
  },
);

asRoot(
  'one that has changed nothing gives an image without a layer more, and a history that says so',
  async t => {
    const container = await own.create({command: ['true']});
    const image = await container.commit();
    const {rootfs, history} = await documentOf(image);
    t.is(rootfs.diff_ids.length, 1);
    t.true(history.at(-1).empty_layer);
    t.deepEqual(image.references, []);
  },
);

asRoot(
  'a running container stands still while it is read, and goes on; one that stood still goes on standing',
  async t => {
    const container = await own.run({command: ['sleep', '1000'], autoRemove: false});
    const runtime = await own.runtime;
    const since = BigInt(Date.now()) * 1_000_000n;
    const image = await container.commit({reference: 'still', message: 'm'});
    t.is((await container.state()).status, 'running');
    const actions: string[] = [];
    const until = BigInt(Date.now() + 1) * 1_000_000n;
    for await (const event of runtime.events({since, until})) {
      if (![container.id, image.id].includes(event.id)) continue;
      actions.push(event.action);
      if (event.action === 'commit') {
        t.like(event.attributes, {comment: 'm', imageID: image.id, imageRef: 'still:latest'});
      }
    }
    t.deepEqual(actions.slice(-4), ['pause', 'tag', 'commit', 'unpause']);
    await container.pause();
    await container.commit();
    t.is((await container.state()).status, 'paused');
    await container[Symbol.asyncDispose]();
  },
);

asRoot('what no layer can hold, and what is no name, are refused', async t => {
  const container = await own.create({command: ['sh', '-c', 'mkdir /d; echo x >/d/.wh.etc']});
  await (await container.start()).exit;
  await t.throwsAsync(container.commit(), {code: 'ERR_INVALID_LAYER', message: /\/d\/\.wh\.etc/});
  await t.throwsAsync(container.commit({reference: 'UP'}), {code: 'ERR_INVALID_REFERENCE'});
  await t.throwsAsync(container.commit({reference: `x@sha256:${'0'.repeat(64)}`}), {
    code: 'ERR_INVALID_REFERENCE',
    message: 'refusing to create a tag with a digest reference',
  });
});
