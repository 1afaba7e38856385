import test from 'ava';
import {Container, Image, type RunOptions} from '../../src/index.js';
import {ownCopy, type RecentStart, RecentStarts} from '../../src/sdk/recent-starts.js';
import {ownRuntime, textOf} from '../helpers/own-runtime.js';
import {asRoot} from '../helpers/requires.js';

const start = {reference: 'image', door: 'sdk'} as RecentStart;

function remembering(options: RunOptions): RecentStarts {
  const recent = new RecentStarts();
  const own = ownCopy(options);
  if (own !== undefined) recent.add(own, start);
  return recent;
}

const OPTIONS: RunOptions = {
  command: ['sh', '-c', 'x'],
  env: {A: '1', B: null},
  limits: {memoryBytes: 1024, deviceReadBps: [{path: '/dev/sda', rate: 7}]},
};

test('equal options are found, whoever made them, and whatever their signal', t => {
  const recent = remembering(OPTIONS);
  t.truthy(recent.find('image', structuredClone(OPTIONS), 'sdk'));
  t.truthy(recent.find('image', {...OPTIONS, signal: AbortSignal.timeout(1e6)}, 'sdk'));
});

for (const [what, options] of Object.entries<RunOptions>({
  'one more': {...OPTIONS, user: '1'},
  'one less': {command: OPTIONS.command!, env: OPTIONS.env!},
  'another word of the command': {...OPTIONS, command: ['sh', '-c', 'y']},
  'a longer command': {...OPTIONS, command: ['sh', '-c', 'x', 'y']},
  'a deep number': {...OPTIONS, limits: {...OPTIONS.limits, deviceReadBps: [{path: '/dev/sda', rate: 8}]}},
  'null for a text': {...OPTIONS, env: {A: null, B: null}},
  'a list for a record': {...OPTIONS, env: ['A=1', 'B']},
})) {
  test(`options that differ are not: ${what}`, t => {
    t.is(remembering(OPTIONS).find('image', options, 'sdk'), undefined);
  });
}

test('another image or door is another start', t => {
  const recent = remembering(OPTIONS);
  t.is(recent.find('other', OPTIONS, 'sdk'), undefined);
  t.is(recent.find('image', OPTIONS, 'docker'), undefined);
});

test('who changes options afterwards changes nothing that is remembered', t => {
  const options = {command: ['a'], limits: {memoryBytes: 1}};
  const recent = remembering(options);
  options.limits.memoryBytes = 2;
  t.is(recent.find('image', options, 'sdk'), undefined);
  t.truthy(recent.find('image', {command: ['a'], limits: {memoryBytes: 1}}, 'sdk'));
});

for (const [what, options] of Object.entries<RunOptions>({
  'a name': {name: 'mine'},
  'a bind': {mounts: [{type: 'bind', source: '/etc', target: '/mnt'}]},
  'a volume': {mounts: [{type: 'volume', target: '/mnt'}]},
  'a profile in a file': {seccomp: {path: '/x'}},
  'input of its own': {stdin: {text: 'x'}},
  'what cannot be copied': {labels: {a: (() => {}) as unknown as string}},
})) {
  test(`what means more than it says is not remembered: ${what}`, t => t.is(ownCopy(options), undefined));
}

test('few are remembered, the latest', t => {
  const recent = new RecentStarts();
  for (let memoryBytes = 0; memoryBytes < 20; memoryBytes++) recent.add({limits: {memoryBytes}}, start);
  t.is(recent.find('image', {limits: {memoryBytes: 1}}, 'sdk'), undefined);
  t.truthy(recent.find('image', {limits: {memoryBytes: 19}}, 'sdk'));
});

const own = ownRuntime();

asRoot('the same options give containers of their own, also after the image changed', async t => {
  const runtime = await own.runtime;
  const options: RunOptions = {command: ['ls', '/etc']};
  for (const file of ['/etc/hosts', '/etc/ld.so.conf']) {
    await Image.fromHost({name: 'changing', binaries: ['/bin/sh', '/bin/ls'], files: [file]}, {runtime});
    const ids = new Set<string>();
    for (let round = 0; round < 3; round++) {
      const container = await Container.run('changing', options, {runtime});
      t.is((await textOf(container.stdout!)).includes('ld.so.conf'), file === '/etc/ld.so.conf');
      await container.settled;
      ids.add(container.id);
    }
    t.is(ids.size, 3);
  }
});

asRoot('an option that was refused is refused again', async t => {
  const options = {limits: {memoryBytes: -1}} as RunOptions;
  for (let round = 0; round < 2; round++) {
    await t.throwsAsync(own.run(options), {code: 'ERR_INVALID_OPTION'});
  }
});
