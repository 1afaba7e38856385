import {execFile} from 'node:child_process';
import {existsSync, mkdirSync, mkdtempSync, readdirSync, rmdirSync, rmSync, writeFileSync} from 'node:fs';
import {homedir, tmpdir} from 'node:os';
import {join} from 'node:path';
import {promisify} from 'node:util';
import test from 'ava';
import {parseNetwork} from '../../src/network/index.js';
import {configPath, parseConfig, readConfigFile} from '../../src/sdk/config-file.js';
import {normalizeRunOptions} from '../../src/sdk/normalize-run-options.js';
import {resolveRoots} from '../../src/store/index.js';
import {markdownBlocks} from '../helpers/markdown-blocks.js';
import {asRoot} from '../helpers/requires.js';

const says = test.macro({
  exec(t, document: object, expected: object) {
    t.deepEqual(parseConfig(JSON.stringify(document), '/c.json'), expected);
  },
  title: (_, document) => `${JSON.stringify(document)} is understood`,
});

test(says, {}, {});
test(says, {'data-root': '/data', 'exec-root': '/run/x'}, {dataRoot: '/data', execRoot: '/run/x'});
test(says, {bip: '192.168.5.1/24', mtu: 1400}, {bip: '192.168.5.1/24', mtu: 1400});
test(
  says,
  {'default-address-pools': [{base: '10.200.0.0/16', size: 24}]},
  {
    pools: [{subnet: parseNetwork('10.200.0.0/16')!, size: 24}],
  },
);
test(says, {'default-shm-size': '128m'}, {shmSizeBytes: 128 * 1024 * 1024});
test(
  says,
  {'default-ulimits': {nofile: {Name: 'nofile', Hard: 64, Soft: 32}, core: {Soft: 0, Hard: -1}}},
  {ulimits: {nofile: {soft: 32, hard: 64}, core: {soft: 0, hard: -1}}},
);
test(says, {'seccomp-profile': 'builtin'}, {seccomp: 'default'});
test(says, {'seccomp-profile': ''}, {seccomp: 'default'});
test(says, {'seccomp-profile': 'unconfined'}, {seccomp: 'unconfined'});
test(says, {'seccomp-profile': '/p.json'}, {seccomp: {path: '/p.json'}});
test(says, {'no-new-privileges': false, init: true}, {noNewPrivileges: false, init: true});
test(says, {'cgroup-parent': '/batch/nightly/'}, {cgroupParent: 'batch/nightly'});
test(says, {'cgroup-parent': ''}, {});
test(says, {debug: true, 'log-level': 'warn'}, {logLevel: 'debug'});
test(says, {debug: false, 'log-level': 'warn'}, {logLevel: 'warn'});

const refuses = test.macro({
  exec(t, text: string, why: RegExp) {
    t.throws(() => parseConfig(text, '/c.json'), {code: 'ERR_CONFIG_INVALID', message: why});
  },
  title: (_, text) => `${text} is refused`,
});

test(refuses, '{', /^the configuration file \/c\.json is not valid: it is not JSON/);
test(refuses, '[]', /it must be an object, not an array/);
test(refuses, 'null', /it must be an object, not null/);
test(refuses, '{"data-rot": "/x"}', /unknown key data-rot; did you mean data-root\?/);
test(refuses, '{"dataRoot": "/x"}', /unknown key dataRoot; did you mean data-root\?/);
test(
  refuses,
  '{"hosts": []}',
  /unknown key hosts; known: allow-forwarding, bip, certs-dir, cgroup-parent, data-root/,
);
test(refuses, '{"__proto__": {}}', /unknown key __proto__/);
test(refuses, '{"data-root": 7}', /data-root must be a string, not 7/);
test(refuses, '{"data-root": "x"}', /data-root must be an absolute path, not "x"/);
test(refuses, '{"data-root": "/x\\u0000y"}', /data-root must not contain a NUL character/);
test(
  refuses,
  '{"bip": "192.168.5.0/24"}',
  /bip must be an address and its subnet such as "192\.168\.5\.1\/24"/,
);
test(refuses, '{"bip": "fd00::1/64"}', /bip must be an address and its subnet/);
test(refuses, '{"mtu": 67}', /mtu must be a whole number from 68 to 65535, not 67/);
test(refuses, '{"default-address-pools": {}}', /default-address-pools must be an array/);
test(
  refuses,
  '{"default-address-pools": [{"base": "10.0.0.0/33", "size": 24}]}',
  /default-address-pools\[0\]\.base must be a subnet of IPv4 such as "10\.200\.0\.0\/16", not "10\.0\.0\.0\/33"/,
);
test(
  refuses,
  '{"default-address-pools": [{"base": "10.0.0.0/16", "size": 8}]}',
  /default-address-pools\[0\]\.size must be a whole number from 16 to 30, not 8/,
);
test(
  refuses,
  '{"default-address-pools": [{"bases": ""}]}',
  /default-address-pools\[0\]\.bases; did you mean base\?/,
);
test(refuses, '{"default-shm-size": 67108864}', /default-shm-size must be a string/);
test(refuses, '{"default-shm-size": "much"}', /default-shm-size must be a size such as "64m"/);
test(refuses, '{"default-shm-size": "0"}', /default-shm-size must be more than nothing/);
test(refuses, '{"default-ulimits": {"nofiles": {}}}', /default-ulimits\.nofiles; did you mean nofile\?/);
test(refuses, '{"default-ulimits": {"nofile": 5}}', /default-ulimits\.nofile must be an object, not 5/);
test(refuses, '{"default-ulimits": {"nofile": {"Hard": 5}}}', /nofile\.Soft must be a whole number/);
test(refuses, '{"default-ulimits": {"nofile": {"Soft": 1.5, "Hard": 5}}}', /nofile\.Soft must be a whole/);
test(
  refuses,
  '{"default-ulimits": {"nofile": {"Soft": 6, "Hard": 5}}}',
  /nofile\.Soft must not be above Hard/,
);
test(
  refuses,
  '{"default-ulimits": {"nofile": {"Name": "core", "Soft": 1, "Hard": 1}}}',
  /Name must be nofile/,
);
test(refuses, '{"seccomp-profile": "p.json"}', /seccomp-profile must be an absolute path/);
test(refuses, '{"init": "yes"}', /init must be true or false, not "yes"/);
test(refuses, '{"cgroup-parent": "a/../b"}', /cgroup-parent must be a path such as/);
test(refuses, '{"log-level": "loud"}', /log-level must be debug, info, warn, error, fatal, not "loud"/);

test('the file of the documentation is valid', t => {
  const [block] = markdownBlocks('docs/configuration.md').filter(({language}) => language === 'json');
  t.like(parseConfig(block!.text, 'docs/configuration.md'), {dataRoot: '/srv/coracle', init: true});
});

test('an empty file says nothing', t => {
  t.deepEqual(parseConfig('\n', '/c.json'), {});
  t.deepEqual(readConfigFile({CORACLE_CONFIG: '/dev/null'}), {});
});

test('root and others have a file each, XDG tells where, CORACLE_CONFIG wins', t => {
  t.is(configPath({XDG_CONFIG_HOME: '/x'}, true), '/etc/coracle/config.json');
  t.is(configPath({XDG_CONFIG_HOME: '/x'}, false), '/x/coracle/config.json');
  t.is(configPath({XDG_CONFIG_HOME: 'relative'}, false), join(homedir(), '.config/coracle/config.json'));
  t.is(configPath({}, false), join(homedir(), '.config/coracle/config.json'));
  t.is(configPath({CORACLE_CONFIG: '/y'}, true), '/y');
});

test('a file that is not there says nothing, unless it was named', t => {
  t.deepEqual(readConfigFile({XDG_CONFIG_HOME: '/nope'}, false), {});
  t.throws(() => readConfigFile({CORACLE_CONFIG: '/nope'}), {
    code: 'ERR_CONFIG_INVALID',
    message: /\/nope is not valid: it cannot be read: ENOENT/,
  });
});

test('options win over the file, the file over the defaults', t => {
  const configured = {
    ulimits: {nofile: {soft: 1, hard: 2}, core: {soft: 0, hard: 0}},
    shmSizeBytes: 4096,
    seccomp: 'unconfined',
    noNewPrivileges: false,
    init: true,
  } as const;
  t.like(normalizeRunOptions({}, 'sdk', 'run', configured), configured);
  t.like(
    normalizeRunOptions(
      {ulimits: {nofile: 7}, shmSizeBytes: 8192, seccomp: 'default', noNewPrivileges: true, init: false},
      'docker',
      'run',
      configured,
    ),
    {
      ulimits: {nofile: {soft: 7, hard: 7}, core: {soft: 0, hard: 0}},
      shmSizeBytes: 8192,
      seccomp: 'default',
      noNewPrivileges: true,
      init: false,
    },
  );
});

test('a privileged container has no seccomp profile, whatever the file names', t => {
  const {seccomp} = normalizeRunOptions({privileged: true}, 'docker', 'run', {seccomp: {path: '/p.json'}});
  t.is(seccomp, 'unconfined');
});

test('the environment wins over the places of the file, the file over the defaults', t => {
  const configured = {root: '/c/root', run: '/c/run'};
  t.deepEqual(resolveRoots({}, {}, true, configured), configured);
  t.deepEqual(resolveRoots({run: '/o'}, {CORACLE_ROOT: '/e'}, true, configured), {root: '/e', run: '/o'});
});

function configured(document: object): {folder: string; environment: NodeJS.ProcessEnv} {
  const folder = mkdtempSync(join(tmpdir(), 'coracle-test-'));
  const file = join(folder, 'config.json');
  writeFileSync(
    file,
    JSON.stringify({'data-root': `${folder}/root`, 'exec-root': `${folder}/run`, ...document}),
  );
  const {CORACLE_ROOT: _root, CORACLE_RUN: _run, ...rest} = process.env;
  return {folder, environment: {...rest, CORACLE_CONFIG: file}};
}

/** Of every hierarchy, and of a v2 tree. */
function removeCgroup(name: string): void {
  for (const hierarchy of ['', ...readdirSync('/sys/fs/cgroup')]) {
    const directory = join('/sys/fs/cgroup', hierarchy, name);
    if (existsSync(directory)) rmdirSync(directory);
  }
}

const COMMAND_LINE = new URL('../../src/cli/main.ts', import.meta.url).href;

/** The command line from its sources. */
async function coracle(environment: NodeJS.ProcessEnv, ...words: string[]) {
  const script = `process.argv.splice(1, 0, 'coracle'); import(${JSON.stringify(COMMAND_LINE)}).then(m => m.main())`;
  const argv = ['--import=tsx', '--input-type=module', '-e', script, '--', ...words];
  return promisify(execFile)(process.execPath, argv, {env: environment}).catch(error => error);
}

asRoot('what the file says holds in a container', async t => {
  const parent = `coracle-test-${process.pid}`;
  t.teardown(() => removeCgroup(parent));
  const {folder, environment} = configured({
    'default-ulimits': {nofile: {Name: 'nofile', Soft: 77, Hard: 99}},
    'default-shm-size': '3m',
    'no-new-privileges': true,
    'seccomp-profile': 'unconfined',
    'cgroup-parent': parent,
    init: true,
  });
  t.teardown(() => rmSync(folder, {recursive: true, force: true}));
  const script = [
    'ulimit -Sn; ulimit -Hn; df -k /dev/shm | sed 1d | tr -s " " | cut -d" " -f2',
    'grep -E "^(NoNewPrivs|Seccomp):" /proc/self/status | tr -d "\\t"',
    'cut -d" " -f2 /proc/1/stat',
  ].join('; ');
  const {stdout, stderr} = await coracle(environment, 'run', '--rm', 'host-shell', 'sh', '-c', script);
  t.deepEqual([stdout, stderr], ['77\n99\n3072\nNoNewPrivs:1\nSeccomp:0\n(docker-init)\n', '']);
});

test('a file that is not valid stops the command line with its message', async t => {
  const {folder, environment} = configured({'data-rot': '/x'});
  t.teardown(() => rmSync(folder, {recursive: true, force: true}));
  const {stderr, code} = await coracle(environment, 'ps');
  t.is(code, 1);
  t.regex(stderr, /^coracle: the configuration file .*unknown key data-rot; did you mean data-root\?\n$/);
});

test('with log-level in the file the command line tells failures in full', async t => {
  const {folder, environment} = configured({'log-level': 'error'});
  t.teardown(() => rmSync(folder, {recursive: true, force: true}));
  mkdirSync(join(folder, 'root'));
  const {stderr} = await coracle(environment, 'create', '--pull', 'never', 'nope');
  t.regex(stderr, /"level":50.*ERR_IMAGE_NOT_FOUND/);
});
