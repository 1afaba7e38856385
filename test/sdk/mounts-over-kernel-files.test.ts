/**
 * Mounts at /proc, /sys and /dev. Whoever has set up /proc decides what "written to /proc" means: CVE-2019-16884,
 * CVE-2019-19921, CVE-2025-52881. The words are runc's 1.1, with dockerd 20.10 in front.
 */
import {execFileSync} from 'node:child_process';
import {mkdirSync, mkdtempSync, readdirSync, readFileSync, statSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import type {BindMount, Mount} from '../../src/index.js';
import {Volume} from '../../src/index.js';
import {assertNothingLeft, hostFootprint} from '../helpers/host-footprint.js';
import {loadLayered} from '../helpers/layered-image.js';
import {ownRuntime} from '../helpers/own-runtime.js';
import {asRoot} from '../helpers/requires.js';

const own = ownRuntime();

const REFUSED: readonly (readonly [what: string, mount: Mount, why: string])[] = [
  ['a directory of the host at /proc', bind('/tmp', '/proc'), 'not of type proc'],
  ['what is not there at /proc', {...bind('/not/there', '/proc'), createSource: true}, 'not of type proc'],
  ['a volume at /proc', {type: 'volume', name: 'own-proc', target: '/proc/'}, 'not of type proc'],
  ['a tmpfs at /proc', {type: 'tmpfs', target: '/proc'}, 'not of type proc'],
  ['a directory at /proc/sys', bind('/tmp', '/proc/sys'), 'inside /proc'],
  ['a directory at a new place in /proc', bind('/tmp', '/proc/not-there'), 'inside /proc'],
  ['a path that leads to /proc', bind('/tmp', '/data/../proc/sys'), 'inside /proc'],
  ['a file at /proc/version', bind('/etc/passwd', '/proc/version'), 'inside /proc'],
  ['a volume in /proc', {type: 'volume', target: '/proc/self'}, 'inside /proc'],
  ['a tmpfs at /proc/self/attr', {type: 'tmpfs', target: '/proc/self/attr'}, 'inside /proc'],
];

for (const [what, mount, why] of REFUSED) {
  asRoot(`${what} is refused, before anything is made`, async t => {
    for (const privileged of [false, true]) {
      const error = await t.throwsAsync(own.run({command: ['true'], mounts: [mount], privileged}), {
        code: 'ERR_INVALID_OPTION',
      });
      t.regex(
        error!.message,
        /^error mounting ".+" to rootfs at "\/proc.*": "\/proc.*" cannot be mounted because it is /,
      );
      t.true(error!.message.endsWith(why), error!.message);
    }
    t.deepEqual(await Volume.list({runtime: await own.runtime}), []);
  });
}

asRoot('the host’s /proc can be had as a whole, with the masks over it', async t => {
  const options = {mounts: [bind('/proc', '/proc')]};
  t.is(await own.output(`cat /proc/${process.pid}/comm`, options), readFileSync('/proc/self/comm', 'latin1'));
  t.is(
    await own.output(
      'wc -c </proc/keys; echo x 2>/dev/null >/proc/sys/kernel/panic || echo refused',
      options,
    ),
    '0\nrefused\n',
  );
});

asRoot('a file that others may well replace is replaced: /proc/uptime', async t => {
  const source = join(folder(), 'uptime');
  writeFileSync(source, '1.00 1.00\n');
  t.is(await own.output('cat /proc/uptime', {mounts: [bind(source, '/proc/uptime')]}), '1.00 1.00\n');
});

for (const [target, place] of [
  ['/proc', '/alias'],
  ['/proc', '/alias/sys'],
  ['/proc/self', '/alias/attr'],
  ['../proc/sys/kernel', '/dir/alias'],
] as const) {
  asRoot.serial(
    `a mount at ${place} is refused where that is a symlink of the image to ${target}`,
    async t => {
      const name = `alias${target}${place}`.replaceAll(/[/.]+/g, '-');
      const path = place.startsWith('/dir') ? 'dir/alias' : 'alias';
      const runtime = await own.runtime;
      await loadLayered(runtime, name, [
        [...(path === 'alias' ? [] : [{path: 'dir/', type: 'directory'} as const]), {path, target}],
      ]);
      await own.sh('true'); // what is opened once, is open
      const before = hostFootprint(own.folder);
      for (const mount of [bind('/tmp', place), {type: 'tmpfs', target: place}] as const) {
        await t.throwsAsync(own.run({command: ['true'], mounts: [mount], privileged: true}, name), {
          code: 'ERR_START_FAILED',
          message: `error mounting to rootfs at "${place}": "${place}" cannot be mounted because it is inside /proc`,
        });
      }
      await assertNothingLeft(t, own.folder, before);
    },
  );
}

asRoot('an image that declares a volume in /proc is refused', async t => {
  for (const [name, target] of [
    ['whole', '/proc'],
    ['part', 'proc/self/attr'],
  ] as const) {
    await loadLayered(await own.runtime, `volume-${name}`, [[]], {Volumes: {[target]: {}}});
    await t.throwsAsync(own.run({command: ['true']}, `volume-${name}`), {
      code: 'ERR_INVALID_IMAGE',
      message: /cannot be mounted because it is (inside \/proc|not of type proc)$/,
    });
  }
});

asRoot('a directory of the host at /dev is all that there is, and nothing is made in it', async t => {
  const source = folder();
  writeFileSync(join(source, 'mine'), '');
  t.is(
    await own.output('ls /dev; wc -c </proc/keys', {
      mounts: [bind(source, '/dev')],
      devices: [{source: '/dev/zero', target: '/dev/other'}],
    }),
    'mine\n0\n',
  );
  t.deepEqual(readdirSync(source), ['mine']);
});

asRoot('the host’s /dev at /dev is the host’s', async t => {
  const seen = await own.output('stat -c %d /dev; stat -c %d /dev/pts', {mounts: [bind('/dev', '/dev')]});
  t.is(seen, `${statSync('/dev').dev}\n${statSync('/dev/pts').dev}\n`);
});

asRoot('a directory of the host at /sys is shown there, with nothing made in it', async t => {
  const source = folder();
  mkdirSync(join(source, 'firmware'));
  writeFileSync(join(source, 'firmware', 'file'), '');
  t.is(await own.output('ls /sys; ls /sys/firmware', {mounts: [bind(source, '/sys')]}), 'firmware\n');
  t.deepEqual(readdirSync(join(source, 'firmware')), ['file']);
});

for (const target of ['/sys', '/sys/firmware', '/etc', '/sbin']) {
  asRoot(
    `a shared mount at ${target} is refused: what is mounted over it would appear on the host`,
    async t => {
      await t.throwsAsync(
        own.run({command: ['true'], mounts: [{...bind(folder(), target), propagation: 'rshared'}]}),
        {code: 'ERR_INVALID_OPTION', message: /it cannot be shared there$/},
      );
    },
  );
}

asRoot('a shared mount is refused where a symlink of the image would lead it to such a place', async t => {
  await loadLayered(await own.runtime, 'leads-to-sys', [[{path: 'data', target: '/sys/firmware'}]]);
  const source = folder();
  execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', source]);
  execFileSync('mount', ['--make-shared', source]);
  t.teardown(() => execFileSync('umount', [source]));
  const mounts = () => readFileSync('/proc/self/mountinfo', 'utf8').split(source).length;
  const before = mounts();
  await t.throwsAsync(
    own.run(
      {command: ['true'], mounts: [{...bind(source, '/data'), propagation: 'rshared'}]},
      'leads-to-sys',
    ),
    {code: 'ERR_START_FAILED', message: /a symlink of the image is in the way$/},
  );
  t.is(mounts(), before);
});

function bind(source: string, target: string): BindMount {
  return {type: 'bind', source, target};
}

function folder(): string {
  return mkdtempSync(join(own.folder, 'source-'));
}
