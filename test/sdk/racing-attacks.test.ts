/**
 * Races against the set-up of a container: another one, with which it shares a volume, exchanges directories and files
 * for symlinks all the time that it starts (CVE-2021-30465, CVE-2025-31133 and their like). Whatever a path is at the moment
 * it is looked at, it leads to somewhere inside: the host's files stay as they are.
 */
import {execFileSync, spawn} from 'node:child_process';
import {once} from 'node:events';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import type {ExecutionContext} from 'ava';
import {CoracleError, Image, type Mount, type RunOptions, Volume} from '../../src/index.js';
import {compileC} from '../helpers/compile-c.js';
import {ownRuntime} from '../helpers/own-runtime.js';
import {asRoot} from '../helpers/requires.js';

const own = ownRuntime();
const STARTS = process.env['CORACLE_TEST_LONG'] === undefined ? 12 : 1000;

/** Exchanges each pair of paths in turn, for ever: `racer DIRECTORY ONE OTHER [ONE OTHER]…` */
const RACER = `
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
int main(int argc, char **argv) {
        if (argc < 4 || chdir(argv[1]) < 0) return 1;
        for (unsigned long turn = 0;; turn++) {
                for (int i = 2; i + 1 < argc; i += 2)
                        if (renameat2(AT_FDCWD, argv[i], AT_FDCWD, argv[i + 1], RENAME_EXCHANGE) < 0) return 2;
                if (turn == 0) write(1, "racing\\n", 7);
        }
}`;

/** What the volume shared with the racer has at one path, and the symlink that it is exchanged for. */
interface Swap {
  readonly path: string;
  readonly is: 'directory' | 'file' | 'null device';
  /** @param canary a directory of the host that has `file` and the directory `sub` */
  readonly link: (canary: string) => string;
}

interface Race {
  readonly what: string;
  /** Where the volume is mounted in the container that starts. */
  readonly at: string;
  readonly swaps: readonly Swap[];
  readonly options: RunOptions;
  /** Run inside; what it writes is looked at when it ran to its end. */
  readonly script: string;
  readonly inside: RegExp;
}

const upwards = (canary: string) => `../../../../../../../..${canary}`;
const SUB: Swap = {path: 'sub', is: 'directory', link: canary => join(canary, 'sub')};
const BOUND = join(own.folder, 'bound');
/** A tmpfs of this size is nobody else's; in the list of mounts are those that can be reached from the root alone. */
const TMPFS = {type: 'tmpfs', sizeBytes: 76 * 4096} as const;
const COUNT_TMPFS = 'grep -c size=304k /proc/self/mountinfo';
const IS_INSIDE = /^1\n/;

const RACES: readonly Race[] = [
  {
    what: 'a tmpfs below a volume',
    at: '/vol',
    swaps: [SUB],
    options: {mounts: [{...TMPFS, target: '/vol/sub'}]},
    script: COUNT_TMPFS,
    inside: IS_INSIDE,
  },
  {
    what: 'a tmpfs whose target has yet to be made below a volume',
    at: '/vol',
    swaps: [{...SUB, link: canary => upwards(join(canary, 'sub'))}],
    options: {mounts: [{...TMPFS, target: '/vol/sub/made/deep'}]},
    script: COUNT_TMPFS,
    inside: IS_INSIDE,
  },
  {
    what: 'a file that is bound below a volume',
    at: '/vol',
    swaps: [SUB, {path: 'file', is: 'file', link: canary => join(canary, 'file')}],
    options: {
      mounts: [
        {type: 'bind', source: BOUND, target: '/vol/file', readOnly: true},
        {type: 'bind', source: BOUND, target: '/vol/sub/new', readOnly: true},
      ],
    },
    script: 'grep -c "/bound /" /proc/self/mountinfo',
    inside: /^2\n/,
  },
  {
    what: 'the working directory',
    at: '/vol',
    swaps: [SUB, {path: 'fd', is: 'directory', link: () => '/proc/self/fd'}],
    options: {workdir: '/vol/sub'},
    script: 'echo x >written; /bin/pwd',
    inside: /^\//,
  },
  {
    what: 'a working directory that is made',
    at: '/vol',
    swaps: [SUB],
    options: {workdir: '/vol/sub/made/deep'},
    script: 'echo x >written; /bin/pwd',
    inside: /^\//,
  },
  {
    what: '/etc/hosts and its like on a volume',
    at: '/etc',
    swaps: ['hosts', 'hostname', 'resolv.conf'].map(path => ({
      path,
      is: 'file',
      link: canary => join(canary, path === 'hosts' ? 'file' : path),
    })),
    options: {},
    script: 'echo 1 >>/etc/hosts; echo ran',
    inside: /ran/,
  },
  {
    what: '/dev/null and the directories of /dev on a volume',
    at: '/dev',
    swaps: [
      {path: 'null', is: 'null device', link: canary => join(canary, 'file')},
      ...['pts', 'shm', 'mqueue'].map(
        (path): Swap => ({path, is: 'directory', link: canary => join(canary, 'sub')}),
      ),
    ],
    options: {},
    script: 'cat /proc/keys /proc/timer_list | wc -c; (echo h >/proc/sysrq-trigger) 2>/dev/stdout | wc -l',
    inside: /^0\n/,
  },
];

for (const {what, at, swaps, options, script, inside} of RACES) {
  asRoot.serial(`${what}: ${STARTS} starts amid exchanges for symlinks leave the host alone`, async t => {
    t.timeout(600_000);
    const runtime = await own.runtime;
    const canary = join(own.folder, `canary-${RACES.findIndex(race => race.what === what)}`);
    mkdirSync(join(canary, 'sub'), {recursive: true});
    writeFileSync(join(canary, 'file'), 'untouched\n');
    const name = `race-${canary.at(-1)}`;
    const {mountpoint} = await Volume.create({name}, {runtime});
    for (const {path, is, link} of swaps) {
      if (is === 'directory') mkdirSync(join(mountpoint, path));
      else if (is === 'null device')
        execFileSync('mknod', ['-m', '666', join(mountpoint, path), 'c', '1', '3']);
      else writeFileSync(join(mountpoint, path), '');
      symlinkSync(link(canary), join(mountpoint, `${path}~`));
    }
    writeFileSync(BOUND, '');
    const before = [treeOf(canary), hostMounts()];
    await using racer = await startRacer(swaps, name);
    const shared: Mount = {type: 'volume', name, target: at, nocopy: true};
    const outcomes: Record<string, number> = {};
    for (let round = 0; round < STARTS; round++) {
      const outcome = await attempt(
        t,
        {...options, mounts: [shared, ...(options.mounts ?? [])]},
        script,
        inside,
      );
      outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
    }
    t.is((await racer.state()).status, 'running');
    t.deepEqual([treeOf(canary), hostMounts()], before);
    t.log(outcomes);
  });
}

// openat2(2) gives up with EAGAIN at a ".." when the host renames or mounts anything at that moment.
asRoot.serial(
  'renames elsewhere on the host hinder no start that has to follow a ".." of an image',
  async t => {
    const runtime = await own.runtime;
    const {mountpoint} = await Volume.create({name: 'upwards'}, {runtime});
    symlinkSync('../../../../inside', join(mountpoint, 'up'));
    const elsewhere = mkdtempSync(join(tmpdir(), 'coracle-renames-'));
    for (const name of ['one', 'other']) mkdirSync(join(elsewhere, name));
    const racer = spawn(compileC(own.folder, 'racer', RACER, '-static'), [elsewhere, 'one', 'other']);
    t.teardown(async () => {
      racer.kill();
      await once(racer, 'exit');
      rmSync(elsewhere, {recursive: true});
    });
    await once(racer.stdout, 'data');
    const mounts: Mount[] = [
      {type: 'volume', name: 'upwards', target: '/vol', nocopy: true},
      {...TMPFS, target: '/vol/up/below'},
    ];
    for (let round = 0; round < STARTS; round++) {
      t.is(await own.output(`${COUNT_TMPFS}; [ -d /inside/below ]`, {mounts}), '1\n');
    }
  },
);

async function startRacer(swaps: readonly Swap[], volume: string) {
  const runtime = await own.runtime;
  await Image.fromHost(
    {name: 'racer', binaries: [compileC(own.folder, 'racer', RACER, '-static')]},
    {runtime},
  );
  const pairs = swaps.flatMap(({path}) => [path, `${path}~`]);
  const racer = await own.run(
    {
      command: [join(own.folder, 'racer'), '/shared', ...pairs],
      mounts: [{type: 'volume', name: volume, target: '/shared', nocopy: true}],
    },
    'racer',
  );
  await new Promise(resolve => racer.stdout!.once('data', resolve));
  return racer;
}

/** A start works, and is then as it should be, or it fails and says why. */
async function attempt(
  t: ExecutionContext,
  options: RunOptions,
  script: string,
  inside: RegExp,
): Promise<string> {
  try {
    const exit = await own.sh(script, options);
    t.regex(exit.lastOutput.stdout, inside, exit.lastOutput.stderr);
    return 'ran';
  } catch (error) {
    if (!(error instanceof CoracleError)) throw error;
    t.is(error.code, 'ERR_START_FAILED', error.message);
    return `${error.details['stage']} ${error.details['errno']}`;
  }
}

/** Everything in a directory: names, kinds, times and contents. */
function treeOf(directory: string): string[] {
  return readdirSync(directory, {recursive: true, encoding: 'utf8'})
    .sort()
    .map(name => {
      const {mode, mtimeMs, ctimeMs} = statSync(join(directory, name));
      const content = name.endsWith('file') ? readFileSync(join(directory, name), 'latin1') : '';
      return [name, mode.toString(8), mtimeMs, ctimeMs, content].join(' ');
    });
}

function hostMounts(): string[] {
  return readFileSync('/proc/self/mountinfo', 'latin1')
    .split('\n')
    .filter(line => line.includes(own.folder) || line.includes('size=304k'));
}
