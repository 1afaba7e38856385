import {existsSync, readFileSync} from 'node:fs';
import {join} from 'node:path';
import {Readable} from 'node:stream';
import test from 'ava';
import {
  Container,
  Image,
  pruneContainers,
  pruneImages,
  pruneVolumes,
  type RuntimeEvent,
  Volume,
} from '../../src/index.js';
import {eventJson, matchesFilters} from '../../src/sdk/watch-events.js';
import {OwnRuntime, ownRuntime} from '../helpers/own-runtime.js';
import {asRoot} from '../helpers/requires.js';

const own = ownRuntime();

/** What was told while something was done, of the command line's door. */
async function told(act: () => Promise<unknown>, {runtime: opened} = own): Promise<RuntimeEvent[]> {
  const runtime = await opened;
  const since = BigInt(Date.now() + 1) * 1_000_000n;
  while (BigInt(Date.now()) * 1_000_000n < since) await new Promise(setImmediate); // what came before is not told
  await act();
  const until = BigInt(Date.now() + 1) * 1_000_000n;
  const events: RuntimeEvent[] = [];
  for await (const event of runtime.events({since, until})) events.push(event);
  return events;
}

/** Resolves when it has been told of. */
async function untilTold(action: string, id: string): Promise<void> {
  const runtime = await own.runtime;
  const filters = {event: [action], container: [id]};
  for await (const _event of runtime.events({filters, since: 0n})) return;
}

interface DockersMessage {
  readonly Type: string;
  readonly Action: string;
  readonly Actor: {readonly ID: string; readonly Attributes: Readonly<Record<string, string>>};
}

function recordedIn(file: string): readonly DockersMessage[] {
  const text = readFileSync(new URL(`../fixtures/docker/${file}`, import.meta.url), 'utf8');
  return text
    .trim()
    .split('\n')
    .map(line => JSON.parse(line));
}

const recorded = recordedIn('events.jsonl');

/** Ids by the order of their first mention; the image and its label are those of the recording. */
function comparable(messages: readonly DockersMessage[]): string[] {
  const ids: string[] = [];
  return messages.map(({Type, Action, Actor}) => {
    const {'org.example.purpose': _, ...attributes} = Actor.Attributes;
    const text = JSON.stringify([Type, Action, Actor.ID, Object.entries(attributes).sort()]);
    return text.replaceAll(/[a-f0-9]{64}/g, id => {
      if (!ids.includes(id)) ids.push(id);
      return `ID ${ids.indexOf(id)}`;
    });
  });
}

asRoot('an everyday life is told as Docker tells it', async t => {
  const alone = new OwnRuntime();
  t.teardown(() => alone.close());
  const runtime = await alone.runtime;
  const here = {runtime, door: 'docker'} as const;
  const image = 'record/busybox:1.35';
  await (await Image.hostShell({runtime})).tag(image);
  const run = async (options: object) => (await Container.run(image, options, here)).settled;
  const events = await told(async () => {
    const passing = {
      name: 'passing',
      labels: {color: 'blue'},
      command: ['sh', '-c', 'exit 3'],
      autoRemove: true,
    };
    await run(passing);
    const kept = {type: 'volume', name: 'kept', target: '/data'} as const;
    const staying = await Container.create(
      image,
      {name: 'staying', mounts: [kept], command: ['sleep', '1000']},
      here,
    );
    const running = await staying.start();
    await staying.stop({timeoutMs: 1});
    await running.settled;
    await staying.rename('renamed');
    await staying.remove();
    await (await Volume.get('kept', {runtime})).remove();
    const eats = {command: ['sh', '-c', 'x=1234567890; while :; do x=$x$x; done']};
    await run({name: 'out-of-memory', limits: {memoryBytes: 6 * 2 ** 20}, ...eats});
    await (await Container.get('out-of-memory', {runtime})).remove({volumes: true});
    const unused = await Container.create(
      image,
      {name: 'unused', mounts: [{type: 'volume', target: '/anonymous'}], command: ['true']},
      here,
    );
    await unused.remove({volumes: true});
    const options = {reference: 'imported:1', changes: ['LABEL purpose=events']};
    const imported = await Image.import(Readable.from([Buffer.alloc(1024)]), options, {runtime});
    await imported.tag('imported:2');
    await Image.remove('imported:1', {}, {runtime});
    await Image.remove('imported:2', {}, {runtime});
    await pruneContainers({}, {runtime});
    await pruneVolumes({}, {runtime});
    await pruneImages({}, {runtime});
  }, alone);
  const ours = events.map(event => JSON.parse(eventJson(event)) as DockersMessage);
  const dockers = recorded.filter(({Type}) => Type !== 'network');
  t.deepEqual(comparable(ours), comparable(dockers));
});

asRoot(
  'commands in a container, and what else is done to one that runs, are told as Docker tells them',
  async t => {
    const alone = new OwnRuntime();
    t.teardown(() => alone.close());
    const runtime = await alone.runtime;
    const here = {runtime, door: 'docker'} as const;
    const image = 'record/busybox:1.35';
    await (await Image.hostShell({runtime})).tag(image);
    const events = await told(async () => {
      const sleeps = {
        name: 'box',
        labels: {color: 'blue'},
        command: ['sh', '-c', 'while :; do sleep 1; done'],
      };
      const box = await Container.runDetached(image, sleeps, here);
      const fails = (doing: Promise<unknown>) => t.throwsAsync(doing);
      await box.capture(['sh', '-c', 'exit 3']);
      await (await box.exec(['true'], {detached: true})).exit;
      await fails(box.exec(['nope']));
      await fails(box.exec(['true'], {workdir: '/nope'}));
      await fails(box.exec(['true'], {user: 'nobody-here'}));
      await box.capture(['sh', '-c', 'kill -9 $$']);
      await fails(box.exec(['with spaces', 'a "b"']));
      await box.top();
      await fails(box.top('-zz'));
      await box.update({limits: {cpuShares: 300}});
      await fails(box.update({limits: {memoryBytes: 2 ** 20}}));
      const archive: Buffer[] = [];
      for await (const bytes of box.getArchive('/etc/passwd')) archive.push(bytes);
      await box.putArchive('/tmp', Readable.from(archive));
      await fails(box.getArchive('/nope').next());
      await box.pause();
      await fails(box.exec(['true']));
      await box.unpause();
      await box.rename('renamed');
      await box.capture(['true']);
      await box.kill('SIGHUP');
      await box.remove({force: true});
      await fails(box.exec(['true']));
      const eats = await Container.runDetached(
        image,
        {
          name: 'eats',
          limits: {memoryBytes: 8 * 2 ** 20},
          command: ['sh', '-c', '(x=1234567890; while :; do x=$x$x; done); exit 4'],
        },
        here,
      );
      await eats.wait();
      await eats.remove();
    }, alone);
    const ours = events.map(event => JSON.parse(eventJson(event)) as DockersMessage);
    const dockers = recordedIn('events-exec.jsonl').filter(({Type}) => Type !== 'network');
    const terminals = dockers.findIndex(({Actor}) => Actor.Attributes['name'] === 'tty');
    t.deepEqual(comparable(ours), comparable(dockers.slice(0, terminals)));
  },
);

asRoot('who attaches, and each new size of a terminal, is told', async t => {
  const runtime = await own.runtime;
  const options = {name: 'terminal', tty: true, stdin: 'pipe', command: ['sh']} as const;
  const events = await told(async () => {
    const container = await Container.create('host-shell', options, {runtime});
    const {attachment} = await container.startAttached({stdin: true});
    await attachment.resize(24, 80);
    attachment.detach();
    const again = await container.attach();
    await again.resize(25, 81);
    again.detach();
    await container.remove({force: true});
    await container.wait({condition: 'removed'});
  });
  const ofIt = events.filter(({attributes}) => attributes['name'] === 'terminal');
  t.deepEqual(
    ofIt.map(({action}) => action),
    ['create', 'attach', 'start', 'resize', 'attach', 'resize', 'kill', 'die', 'destroy'],
  );
  const [first, second] = ofIt.filter(({action}) => action === 'resize');
  t.like(first!.attributes, {height: '24', width: '80'});
  t.like(second!.attributes, {height: '25', width: '81'});
  const dockers = recordedIn('events-exec.jsonl').find(({Action}) => Action === 'resize')!;
  t.deepEqual(
    Object.keys(dockers.Actor.Attributes).filter(key => !(key in first!.attributes)),
    ['org.example.purpose'],
  );
});

asRoot('a monitor tells of a container that was renamed by its new name', async t => {
  const runtime = await own.runtime;
  for (const autoRemove of [false, true]) {
    const options = {name: 'old-name', autoRemove, command: ['sh', '-c', 'exec sleep 1000']};
    const container = await Container.runDetached('host-shell', options, {runtime});
    const events = await told(async () => {
      await container.rename('new-name');
      await container.kill();
      if (!autoRemove) await container.wait();
      const removal = untilTold('destroy', container.id);
      await (autoRemove ? container.wait({condition: 'removed'}) : container.remove());
      await removal; // a monitor tells of it when all is gone
    });
    const ofIt = events.filter(({id}) => id === container.id);
    t.deepEqual(
      ofIt.map(({action, attributes}) => [action, attributes['name']]),
      ['rename', 'kill', 'die', 'destroy'].map(action => [action, 'new-name']),
    );
    const again = await own.create({name: 'new-name'});
    await again.remove();
  }
});

asRoot('a message has the keys of Docker, and times to the nanosecond', async t => {
  const events = await told(async () => (await own.create({name: 'message'})).remove());
  const created = events.find(({attributes}) => attributes['name'] === 'message');
  const json = eventJson(created!);
  const dockers = recorded.find(({Action}) => Action === 'create')!;
  t.deepEqual(Object.keys(JSON.parse(json)), Object.keys(dockers));
  t.true(json.endsWith(`"timeNano":${created!.timeNs}}`));
});

asRoot('containers of code that remove themselves are told of once somebody has watched', async t => {
  const alone = new OwnRuntime();
  t.teardown(() => alone.close());
  const runtime = await alone.runtime;
  const journal = join(runtime.store.events.places.directory, 'current');
  await alone.sh('true', {mounts: [{type: 'volume', target: '/anonymous'}]});
  t.false(existsSync(journal));
  const quiet = await alone.start('exec sleep 1000');
  quiet.signal(9);
  await quiet.settled;
  t.false(existsSync(journal));

  const halfway = await alone.start('exec sleep 1000');
  const events = runtime.events({signal: AbortSignal.timeout(60_000)});
  const first = events.next();
  while (!runtime.store.events.isWatched) await new Promise(setImmediate);
  halfway.signal(9);
  const actions = [(await first).value!.action];
  while (actions.at(-1) !== 'destroy') actions.push((await events.next()).value!.action);
  t.deepEqual(actions, ['kill', 'die', 'destroy']);
  await alone.sh('true');
  const next: string[] = [];
  while (next.at(-1) !== 'destroy') next.push((await events.next()).value!.action);
  t.deepEqual(next, ['create', 'attach', 'start', 'die', 'destroy']);
  await events.return();
});

asRoot('another process hears of it, and is heard', async t => {
  const other = new OwnRuntime(0, own.folder);
  t.teardown(async () => (await other.runtime).close());
  const container = await own.create({name: 'heard'});
  const events = await told(async () => {
    const theirs = await Container.get('heard', {runtime: await other.runtime});
    await theirs.rename('renamed-elsewhere');
    await theirs.remove();
  });
  t.deepEqual(
    events.filter(({id}) => id === container.id).map(({action}) => action),
    ['rename', 'destroy'],
  );
});

const event: RuntimeEvent = {
  timeNs: 1n,
  type: 'container',
  action: 'exec_start: sh -c x',
  id: 'abcdef',
  attributes: {image: 'reg.example:5000/app:1', name: 'web', role: 'front', exitCode: '1'},
};

const filters = test.macro({
  exec(t, filter: Readonly<Record<string, readonly string[]>>, expected: boolean) {
    t.is(matchesFilters(event, filter), expected);
  },
  title: (_, filter, expected) =>
    `the filter ${JSON.stringify(filter)} ${expected ? 'fits' : 'does not fit'}`,
});
test(filters, {}, true);
test(filters, {type: ['image', 'container']}, true);
test(filters, {type: ['image']}, false);
test(filters, {event: ['exec_start']}, true);
test(filters, {event: ['exec_start: sh -c x']}, true);
test(filters, {event: ['exec']}, false);
test(filters, {container: ['abc']}, true);
test(filters, {container: ['web', 'nope']}, true);
test(filters, {container: ['nope']}, false);
test(filters, {image: ['reg.example:5000/app']}, true);
test(filters, {image: ['reg.example:5000/app:1']}, true);
test(filters, {image: ['app']}, false);
test(filters, {label: ['role']}, true);
test(filters, {label: ['role=front', 'exitCode=1']}, true);
test(filters, {label: ['role=front', 'tier']}, false);
test(filters, {scope: ['local']}, true);
test(filters, {scope: ['swarm']}, false);
test(filters, {node: ['nope']}, false);
test(filters, {nope: ['x']}, true);
test(filters, {daemon: ['x']}, false);
test(filters, {type: ['container'], container: ['nope']}, false);

asRoot('what a detached container does is told by its monitor, restarts included', async t => {
  const runtime = await own.runtime;
  const volume = await Volume.create({}, {runtime});
  let id = '';
  const events = await told(async () => {
    const container = await Container.runDetached(
      'host-shell',
      {
        command: ['sh', '-c', 'exit 3'],
        labels: {odd: 'a b;c=%\u0001'},
        mounts: [{type: 'volume', name: volume.name, target: '/data'}],
        restart: {name: 'on-failure', maximumRetries: 1},
      },
      {runtime},
    );
    id = container.id;
    while ((await container.state()).status !== 'exited') await container.wait();
    await container.remove();
  });
  const ofIt = events.filter(({id: of, attributes}) => of === id || attributes['container'] === id);
  t.deepEqual(
    ofIt.map(({action}) => action),
    ['create', 'mount', 'start', 'die', 'unmount', 'mount', 'start', 'die', 'unmount', 'destroy'],
  );
  for (const {attributes} of ofIt.filter(({action}) => action === 'die')) {
    t.like(attributes, {exitCode: '3', odd: 'a b;c=%\u0001'});
  }
  await volume.remove();
});
