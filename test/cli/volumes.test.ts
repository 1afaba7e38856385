import {spawnSync} from 'node:child_process';
import {mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import test from 'ava';
import {ownRoot} from '../helpers/own-root.js';
import {asRoot, requiresAsRoot} from '../helpers/requires.js';

/** Whole processes on a root of the test's own. What they are to say was seen with docker 28.2.2 and dockerd 20.10. */
const program = fileURLToPath(new URL('../../bin/coracle.cjs', import.meta.url));
const cleanUp: (() => unknown)[] = [];
let env: NodeJS.ProcessEnv;

test.before(() => {
  if (process.getuid?.() === 0)
    env = ownRoot({teardown: (undo: () => unknown) => cleanUp.push(undo)} as never);
});
test.after.always(async () => {
  for (const undo of cleanUp) await undo();
});

function coracle(line: string, input: string | Buffer = '') {
  const words = line.match(/(?:\{\{[^}]*\}\}|\S)+/g) ?? [];
  const {stdout, stderr, status} = spawnSync(process.execPath, [program, ...words], {env, input});
  return {stdout: stdout.toString(), stderr: stderr.toString(), code: status};
}

const daemon = (text: string) => `Error response from daemon: ${text}\n`;

asRoot.serial('volumes are made, shown and removed as docker does', t => {
  const says = (line: string, stdout: string, stderr = '', code = stderr === '' ? 0 : 1) =>
    t.deepEqual(coracle(line), {stdout, stderr, code}, line);
  says('volume inspect nope', '[]\n', daemon('get nope: no such volume'));
  says('volume inspect nope --format {{.Name}}', '\n', daemon('get nope: no such volume'));
  says('volume rm nope', '', daemon('get nope: no such volume'));
  says('volume rm -f nope', 'nope\n');
  says('volume create v1 --label a=b --label c', 'v1\n');
  says('volume create v1 --label a=z', 'v1\n');
  const plugin = 'error looking up volume plugin nodriver: plugin "nodriver" not found';
  says('volume create -d nodriver v1', '', daemon(`create v1: ${plugin}`));
  says('volume create -o type=tmpfs -o device=tmpfs -o o=size=1m,uid=1000 tv', 'tv\n');
  says(
    'volume inspect tv --format {{json .Options}}',
    '{"device":"tmpfs","o":"size=1m,uid=1000","type":"tmpfs"}\n',
  );
  says('volume inspect v1 --format {{json .Labels}}{{json .Options}}', '{"a":"b","c":""}null\n');
  says('volume create -o foo=bar tv3', '', daemon('create tv3: invalid option: "foo"'));
  says('volume create -o size=10m tv6', '', daemon('create tv6: quota size requested but no quota support'));
  says('volume ls', 'DRIVER    VOLUME NAME\nlocal     tv\nlocal     v1\n');
  says('volume ls -q -f label=a=b', 'v1\n');
  says('volume ls -q -f driver=nope', '');
  says('volume ls -f foo=bar', '', daemon("Invalid filter 'foo'"));
});

asRoot.serial('a volume that a container has stays, and one whose container is gone goes', t => {
  const {stdout} = coracle('create --name user -v v1:/x -v tv:/t:ro host-shell true');
  const id = stdout.trim();
  t.deepEqual(coracle('volume rm v1 nope'), {
    stdout: '',
    stderr: daemon(`remove v1: volume is in use - [${id}]`) + daemon('get nope: no such volume'),
    code: 1,
  });
  t.is(coracle('volume ls -q -f dangling=true').stdout, '');
  const mounts = coracle('inspect user --format {{json .HostConfig.Binds}}').stdout;
  t.is(mounts, '["v1:/x","tv:/t:ro"]\n');
  t.is(coracle('create --name heir --volumes-from user host-shell true').code, 0);
  t.is(
    coracle('inspect heir --format {{json .HostConfig.VolumesFrom}}{{len .Mounts}}').stdout,
    '["user"]2\n',
  );
  coracle('rm user heir');
  t.is(coracle('volume prune --all --force').stdout.split('\n')[0], 'Deleted Volumes:');
  t.is(coracle('volume ls -q').stdout, '');
});

asRoot.serial('what a volume cannot be mounted for ends run as docker’s client ends it', t => {
  coracle('volume create -o type=none -o o=bind -o device=/nonexistent bv');
  const place = coracle('volume inspect bv --format {{.Mountpoint}}').stdout.trim();
  const {stderr, code} = coracle('run --rm -v bv:/t host-shell true');
  t.is(code, 127);
  t.is(
    stderr.split('\n')[0],
    `coracle: Error response from daemon: error while mounting volume '${place}': failed to mount local volume: mount /nonexistent:${place}, flags: 0x1000: no such file or directory`,
  );
  coracle('volume rm bv');
});

const withTar = requiresAsRoot('tar', 'tar');
withTar.serial('a volume is cloned, exported, imported, saved and restored', t => {
  const folder = mkdtempSync(join(tmpdir(), 'coracle-test-volumes-'));
  t.teardown(() => rmSync(folder, {recursive: true}));
  coracle('volume create data');
  const place = coracle('volume inspect data --format {{.Mountpoint}}').stdout.trim();
  writeFileSync(join(place, 'file'), 'content\n');
  const content = (name: string) => readFileSync(join(place, '../..', name, '_data/file'), 'utf8');
  t.is(coracle('volume clone --label a=b data copy').stdout, 'copy\n');
  t.is(content('copy'), 'content\n');
  t.is(coracle(`volume export -o ${folder}/data.tar data`).code, 0);
  t.is(coracle(`volume import imported ${folder}/data.tar`).stdout, 'imported\n');
  t.is(content('imported'), 'content\n');
  t.is(coracle('volume import piped', readFileSync(`${folder}/data.tar`)).stdout, 'piped\n');
  t.is(content('piped'), 'content\n');
  t.is(coracle('volume import piped', 'x').stderr, daemon('create piped: the volume is there already'));

  const saved = coracle(`backup data ${folder}/data.tar.zst`);
  t.regex(saved.stdout, /data\.tar\.zst: 2 entries, \d+B, verified\n$/);
  t.is(saved.stderr, '');
  const json = JSON.parse(coracle(`backup --json data ${folder}/data.tar.gz`).stdout);
  t.like(json, {volume: 'data', compression: 'gzip', entries: 2, paused: []});
  t.is(coracle(`restore restored ${folder}/data.tar.zst`).stdout.split(',')[0], 'restored: 2 entries');
  t.is(content('restored'), 'content\n');
  t.deepEqual(coracle(`restore restored ${folder}/data.tar.gz`), {
    stdout: '',
    stderr: daemon('restore restored: the volume is not empty'),
    code: 1,
  });
  t.is(coracle(`restore --force --quiet restored ${folder}/data.tar.gz`).stdout, '');
  t.deepEqual(coracle(`backup data ${folder}/no/such/data.tar`), {
    stdout: '',
    stderr: `${folder}/no/such/data.tar cannot be written: ENOENT\n`,
    code: 1,
  });
});
