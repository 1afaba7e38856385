/**
 * The way of people: a volume of everything that copies tend to lose is saved, removed and brought back by commands, for each kind
 * of repository and of file. What a kind cannot carry its command says.
 */
import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {constants, mkdtempSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {text} from 'node:stream/consumers';
import {fileURLToPath} from 'node:url';
import type {ExecutionContext} from 'ava';
import {mknodBelow, openDirectory, utimesBelow} from '../../src/binding/index.js';
import {DockerRegistry} from '../helpers/docker-registry.js';
import {ownRoot} from '../helpers/own-root.js';
import {asRoot, requiresAsRoot} from '../helpers/requires.js';
import {treeFacts, writeCorpus} from '../helpers/volume-corpus.js';

const entry = fileURLToPath(new URL('../../bin/coracle.cjs', import.meta.url));

interface Kind {
  /** Words of both commands, in a folder of the test's own. */
  readonly words: (folder: string, t: ExecutionContext) => Promise<readonly string[]> | readonly string[];
  readonly test: typeof asRoot;
  /** What the backup says of a socket. */
  readonly socket: string;
  /** What the restore says, where it does not bring back all of the rest. */
  readonly lost?: {readonly holes: RegExp};
  /** Its parts are tested by themselves as well; all of it in the long run. */
  readonly isLong?: true;
}

const NOT_KEPT = 'WARNING: zz-socket is a socket, which is not kept\n';
const withTar = requiresAsRoot('tar', 'tar');
const file = (ending: string): Pick<Kind, 'words' | 'test' | 'socket'> => ({
  words: folder => [join(folder, `data${ending}`)],
  test: withTar,
  socket: 'WARNING: tar: ./zz-socket: socket ignored\n',
});

const KINDS: Readonly<Record<string, Kind>> = {
  'a directory': {words: folder => ['--repo', join(folder, 'repo')], test: asRoot, socket: NOT_KEPT},
  'a directory, with a key': {
    words: folder => ['--repo', join(folder, 'repo'), '--key-file', keyIn(folder)],
    test: asRoot,
    socket: NOT_KEPT,
    isLong: true,
  },
  'a registry': {
    words: async (_, t) => {
      const server = await DockerRegistry.start();
      t.teardown(() => server[Symbol.asyncDispose]());
      return ['--repo', `registry://${server.name}/backups`];
    },
    test: requiresAsRoot('docker-registry', 'docker-registry'),
    socket: NOT_KEPT,
    isLong: true,
  },
  restic: {
    words: folder => ['--repo', `restic:${join(folder, 'repo')}`, '--key-file', keyIn(folder)],
    test: requiresAsRoot('restic', 'restic'),
    socket: 'WARNING: data/zz-socket: a socket, which restic leaves out\n',
    lost: {holes: /^WARNING: holes of files are filled: this restic is older than 0\.15\n$/},
    isLong: true,
  },
  'FILE.tar': {...file('.tar'), isLong: true},
  'FILE.tar.gz': {...file('.tar.gz'), isLong: true},
  'FILE.tar.zst': {...file('.tar.zst'), isLong: true},
};

function keyIn(folder: string): string {
  const path = join(folder, 'key');
  writeFileSync(path, 'open sesame\n', {mode: 0o600});
  return path;
}

const LONG = process.env['CORACLE_TEST_LONG'] !== undefined;
for (const [name, {words, test, socket, lost, isLong}] of Object.entries(KINDS)) {
  if (isLong && !LONG) continue;
  test.serial(
    `${name}: a volume is saved, removed and brought back bit by bit, and what is lost is said`,
    async t => {
      const env = ownRoot(t);
      const run = (...args: readonly string[]) => coracle(env, args);
      const folder = mkdtempSync(join(env['CORACLE_ROOT']!, '..', 'place-'));
      const target = await words(folder, t);
      await run('volume', 'create', 'data');
      const mountpoint = async () =>
        (await run('volume', 'inspect', '--format', '{{.Mountpoint}}', 'data')).stdout.trim();
      const before = await mountpoint();
      writeCorpus(before, 4 * 1024 ** 2);
      addSocket(before);
      const facts = (path: string, options = {}) =>
        treeFacts(path, options).filter(line => !line.startsWith('"zz-socket" '));
      const whole = facts(before);
      const withoutHoles = lost && facts(before, {holes: false});
      t.regex(whole[0]!, /^"" 40700 999:998 /);

      const saved = await run('backup', 'data', ...target);
      t.like(saved, {code: 3, stderr: socket});
      t.regex(saved.stdout, new RegExp(`: ${whole.length} entries, `));
      t.like(await run('volume', 'rm', 'data'), {code: 0, stdout: 'data\n'});

      const restored = await run('restore', 'data', ...target);
      if (lost !== undefined && restored.stderr !== '') {
        t.is(restored.code, 3);
        t.regex(restored.stderr, lost.holes);
        t.deepEqual(facts(await mountpoint(), {holes: false}), withoutHoles!);
      } else {
        t.like(restored, {code: 0, stderr: ''});
        t.deepEqual(facts(await mountpoint()), whole);
      }
    },
  );
}

/** Its directory's times are as before. */
function addSocket(directory: string): void {
  using root = openDirectory(directory);
  mknodBelow(root.fd, 'zz-socket', constants.S_IFSOCK | 0o600);
  utimesBelow(root.fd, '', 7_000_000_009n, 7_000_000_009n);
}

async function coracle(env: NodeJS.ProcessEnv, args: readonly string[]) {
  const child = spawn(process.execPath, [entry, ...args], {env, stdio: ['ignore', 'pipe', 'pipe']});
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close') as Promise<[number | null]>,
  ]);
  return {stdout, stderr, code};
}
