import {mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {coreFile} from '../../src/binding/index.js';
import type {CoracleError, RunOptions} from '../../src/index.js';
import {compileC} from '../helpers/compile-c.js';
import {type LayerEntry, loadLayered} from '../helpers/layered-image.js';
import {ownRuntime} from '../helpers/own-runtime.js';
import {asRoot} from '../helpers/requires.js';

/** Images that lie: each of these is an attack of the field. See docs/security.md. */

const own = ownRuntime();

/** Prints the file of its first argument, or "cannot read". Static: an image needs nothing else. */
const SHOW = `
#include <stdio.h>
int main(int argc, char **argv) {
        for (int i = 1; i < argc; i++) {
                FILE *file = fopen(argv[i], "r");
                char text[4096];
                size_t n = file ? fread(text, 1, sizeof text, file) : 0;
                if (file) fwrite(text, 1, n, stdout); else puts("cannot read");
        }
        return 0;
}`;

let program: LayerEntry | undefined;

async function image(
  name: string,
  entries: readonly LayerEntry[],
  config = {},
  more: readonly LayerEntry[][] = [],
) {
  program ??= {
    path: 'show',
    mode: 0o755,
    content: readFileSync(compileC(own.folder, 'show', SHOW, '-static')),
  };
  const runtime = await own.runtime;
  return loadLayered(runtime, name, [[program], entries, ...more], config);
}

for (const place of ['proc', 'sys', 'dev']) {
  asRoot(`an image with a symlink in the place of /${place} is refused`, async t => {
    const outside = mkdtempSync(join(own.folder, 'outside-'));
    await image(`link-${place}`, [{path: place, target: outside}]);
    const error = (await t.throwsAsync(
      own.run({command: ['/show', '/proc/1/comm']}, `link-${place}`),
    )) as CoracleError;
    t.is(error.code, 'ERR_START_FAILED');
    t.regex(error.message, /ELOOP/);
    t.deepEqual(readdirSync(outside), []);
  });
}

asRoot('a symlink to the host in the place of a mount target leads to the same path inside', async t => {
  const outside = mkdtempSync(join(own.folder, 'outside-'));
  const source = mkdtempSync(join(own.folder, 'source-'));
  writeFileSync(join(source, 'file'), 'mounted\n');
  await image('link-target', [
    {path: 'data', target: outside},
    {path: 'up', target: `../../../../../..${outside}`},
  ]);
  for (const target of ['/data', '/up', '/up/below']) {
    const container = await own.run(
      {command: ['/show', `${target}/file`], mounts: [{type: 'bind', source, target}]},
      'link-target',
    );
    t.is((await container.exit).lastOutput.stdout, 'mounted\n', target);
  }
  t.deepEqual(readdirSync(outside), []);
});

asRoot(
  'an image whose /etc is a symlink to the host’s gets its own hosts file, and the host’s stays',
  async t => {
    const before = readFileSync('/etc/hosts', 'utf8');
    await image('link-etc', [{path: 'etc', target: '/../../etc'}]);
    const error = (await t.throwsAsync(
      own.run({command: ['/show', '/etc/hosts']}, 'link-etc'),
    )) as CoracleError;
    t.is(error.code, 'ERR_START_FAILED'); // a loop in itself: there is no such directory inside
    t.is(readFileSync('/etc/hosts', 'utf8'), before);
  },
);

asRoot('/etc/hosts as a symlink to a file of the host covers the path inside, not the file', async t => {
  const victim = join(mkdtempSync(join(own.folder, 'outside-')), 'victim');
  writeFileSync(victim, 'untouched\n');
  await image('link-hosts', [
    {path: 'etc', type: 'directory'},
    {path: 'etc/hosts', target: victim},
  ]);
  const container = await own.run({command: ['/show', '/etc/hosts']}, 'link-hosts');
  t.regex((await container.exit).lastOutput.stdout, /localhost/);
  t.is(readFileSync(victim, 'utf8'), 'untouched\n');
});

for (let number = 0; number < 12; number++) {
  asRoot(`WORKDIR /proc/self/fd/${number} leads nowhere outside`, async t => {
    await image(`workdir-${number}`, [], {
      WorkingDir: `/proc/self/fd/${number}`,
      Cmd: ['/show', '/proc/self/environ'],
    });
    const attempt = own.run({}, `workdir-${number}`);
    const error = (await t.throwsAsync(attempt)) as CoracleError;
    t.is(error.code, 'ERR_START_FAILED');
    t.regex(error.message, /working directory/i);
  });
}

asRoot(
  'the entrypoint /proc/self/exe gets a sealed copy of the launcher in memory, which ends at once',
  async t => {
    const launcher = readFileSync(coreFile('coracle-launcher'));
    await image('self-exe', [{path: 'exe', target: '/proc/self/exe'}], {Entrypoint: ['/proc/self/exe']});
    for (const options of [
      {},
      {entrypoint: ['/exe']},
      {entrypoint: ['/proc/1/exe']},
    ] satisfies RunOptions[]) {
      const container = await own.run(options, 'self-exe');
      t.like(await container.exit, {kind: 'code', code: 111});
    }
    t.is(Buffer.compare(readFileSync(coreFile('coracle-launcher')), launcher), 0);
  },
);

asRoot('a symlink that leads nowhere, as /etc/resolv.conf of many images, is followed inside', async t => {
  await image('dangling', [
    {path: 'etc', type: 'directory'},
    {path: 'etc/resolv.conf', target: '../run/systemd/resolve/stub-resolv.conf'},
    {path: 'etc/hosts', target: '/somewhere/else'},
    {path: 'one', target: 'two'},
    {path: 'two', target: 'three/four'},
  ]);
  const container = await own.run(
    {
      command: ['/show', '/run/systemd/resolve/stub-resolv.conf', '/somewhere/else', '/three/four/five/comm'],
      mounts: [{type: 'bind', source: '/proc/self', target: '/one/five', nonRecursive: true}],
    },
    'dangling',
  );
  const {stdout} = (await container.exit).lastOutput;
  t.true(stdout.startsWith(readFileSync('/etc/resolv.conf', 'utf8')), stdout);
  t.regex(stdout, /localhost/);
  t.notRegex(stdout, /cannot read/);
});

asRoot('symlinks that lead to each other are refused', async t => {
  await image('loop', [
    {path: 'a', target: 'b'},
    {path: 'b', target: 'a'},
  ]);
  const mounts = [{type: 'tmpfs', target: '/a/x'}] as const;
  await t.throwsAsync(own.run({command: ['/show'], mounts}, 'loop'), {
    code: 'ERR_START_FAILED',
    message: /ELOOP/,
  });
});

for (const user of [
  '4294967296',
  '4294967295',
  '2147483648',
  '2147483648:0',
  '0:2147483648',
  '-1',
  '1:-1',
  '99999999999999999999',
]) {
  asRoot(`USER ${user} is refused`, async t => {
    await image(`user-${user.replaceAll(':', '.').replace('-', 'minus')}`, [], {User: user, Cmd: ['/show']});
    const error = (await t.throwsAsync(
      own.run({}, `user-${user.replaceAll(':', '.').replace('-', 'minus')}`),
    )) as CoracleError;
    t.is(error.code, 'ERR_USER_UNKNOWN', error.message);
  });
}

asRoot('an image whose passwd file gives its user a huge id does not make it root', async t => {
  await image(
    'huge-passwd',
    [
      {path: 'etc', type: 'directory'},
      {path: 'etc/passwd', content: 'evil:x:4294967296:0::/:\n'},
    ],
    {User: 'evil', Cmd: ['/show', '/proc/self/status']},
  );
  const error = (await t.throwsAsync(own.run({}, 'huge-passwd'))) as CoracleError;
  t.is(error.code, 'ERR_USER_UNKNOWN');
});

asRoot('an image of 300 layers runs, and the topmost file wins', async t => {
  const layers = Array.from({length: 298}, (_, index): LayerEntry[] => [
    {path: 'top', content: `layer ${index}\n`},
    {path: `file-${index}`, content: `${index}\n`},
  ]);
  await image('many-layers', [], {}, layers);
  const container = await own.run(
    {command: ['/show', '/top', '/file-0', '/file-150', '/file-297']},
    'many-layers',
  );
  t.is((await container.exit).lastOutput.stdout, 'layer 297\n0\n150\n297\n');
});

for (const [what, options] of [
  ['a command', {command: ['/show', 'a\0b']}],
  ['a variable', {command: ['/show'], env: {NAME: 'a\0b'}}],
  ['a working directory', {command: ['/show'], workdir: '/a\0b'}],
  ['a host name', {command: ['/show'], hostname: 'a\0b'}],
  ['a mount target', {command: ['/show'], mounts: [{type: 'tmpfs', target: '/a\0b'}]}],
  ['a user', {command: ['/show'], user: 'root\0'}],
] as const satisfies readonly (readonly [string, RunOptions])[]) {
  asRoot(`a NUL in ${what} is refused before anything is made`, async t => {
    await image('plain', []);
    const error = (await t.throwsAsync(own.run(options, 'plain'))) as CoracleError;
    t.regex(error.code, /^ERR_(INVALID_OPTION|USER_UNKNOWN|INVALID_PATH)$/, error.message);
  });
}

asRoot('names that are no UTF-8 are run, shown and removed like others', async t => {
  await own.runtime;
  const text = await own.output("cd /tmp; touch \"$(printf 'x\\377y')\"; ls | od -An -c | tr -d ' \\n'");
  t.is(text, 'x377y\\n');
});

asRoot('an image that has no directories at all gets those that mounts need', async t => {
  await image('bare', []);
  mkdirSync(join(own.folder, 'bare'), {recursive: true});
  const container = await own.run(
    {
      command: ['/show', '/proc/1/comm', '/a/b/c/file'],
      mounts: [{type: 'bind', source: own.folder, target: '/a/b/c'}],
    },
    'bare',
  );
  const exit = await container.exit;
  t.is(exit.lastOutput.stdout, 'show\ncannot read\n', JSON.stringify(exit));
});
