import test from 'ava';
import type {Sdk} from '../../src/cli/sdk.js';
import {command} from './recording-sdk.js';

/** `--format` of info and version, and what `coracle inspect` shares with `ts-inspect`. */

const info: Partial<Sdk> = {
  info: async () => ({
    version: '1.2.3',
    root: '/var/lib/coracle',
    runDirectory: '/run/coracle',
    containers: {total: 3, running: 1, paused: 0, stopped: 2},
    images: 4,
    storageDriver: 'overlay2',
    cgroupLayout: 'v2',
    cgroupControllers: ['memory', 'pids'],
    kernel: '6.1.0',
    operatingSystem: 'Debian',
    architecture: 'x86_64',
    cpus: 2,
    memoryBytes: 1024,
    hostname: 'host',
    rootless: false,
  }),
};

test('info --format takes a template with the names of docker', async t => {
  const template =
    '{{.NCPU}} {{.ContainersRunning}}/{{.Containers}} {{.CgroupVersion}} {{.ClientInfo.Version}}';
  t.like(await command(['info', '--format', template], info), {exitCode: 0, stdout: '2 1/3 2 1.2.3\n'});
});

test('info --format json is the document of docker, --json what Coracle knows', async t => {
  const docker = JSON.parse((await command(['info', '--format', 'json'], info)).stdout);
  t.like(docker, {Containers: 3, Driver: 'overlay2', ServerVersion: '1.2.3', MemTotal: 1024});
  t.like(JSON.parse((await command(['info', '--json'], info)).stdout), {cgroupLayout: 'v2', cpus: 2});
});

test('a field that info does not have ends the line and exits with 1, a broken template with 64', async t => {
  t.like(await command(['info', '-f', '{{.NCPU}}{{.Nope}}'], info), {
    exitCode: 1,
    stdout: '2\n',
    stderr: `template: :1:11: executing "" at <.Nope>: can't evaluate field Nope in type system.dockerInfo\n`,
  });
  t.like(await command(['version', '-f', '{{']), {
    exitCode: 64,
    stdout: '',
    stderr: 'template parsing error: template: version:1: unclosed action\n',
  });
});

test('version --format has a client and a server', async t => {
  const {stdout} = await command([
    'version',
    '--format',
    '{{eq .Client.Version .Server.Version}} {{.Server.Os}}',
  ]);
  t.is(stdout, `true ${process.platform}\n`);
});

const containers: Partial<Sdk> = {
  inspect: async () => ({Name: '/web', State: {Status: 'running'}, HostConfig: {}}) as never,
};

test('inspect hands on what dockerd would say, without regard to HTML; volume inspect minds it, as docker', async t => {
  const labels = {Labels: {a: '<b> & c'}};
  const sdk: Partial<Sdk> = {
    inspect: async () => labels as never,
    inspectVolume: async () => labels as never,
  };
  t.true((await command(['inspect', 'web'], sdk)).stdout.includes('"a": "<b> & c"'));
  t.true((await command(['inspect', '--format', 'json', 'web'], sdk)).stdout.includes('"a":"<b> & c"'));
  t.true(
    (await command(['volume', 'inspect', 'web'], sdk)).stdout.includes('"a": "\\u003cb\\u003e \\u0026 c"'),
  );
});

test('inspect takes both delimiters, JSONPath, explanations and conditions to wait for', async t => {
  const inspect = (...words: string[]) => command(['inspect', ...words, 'web'], containers);
  t.is((await inspect('-f', '<<.Name>>')).stdout, '/web\n');
  t.is((await inspect('--jsonpath', '$..Status')).stdout, 'running\n');
  t.is(
    (await inspect('-f', 'jsonl')).stdout,
    '{"Name":"/web","State":{"Status":"running"},"HostConfig":{}}\n',
  );
  t.like(await inspect('--wait-for', '{{eq .State.Status "running"}}', '--timeout', '5s'), {
    exitCode: 0,
    stdout: '',
  });
  t.like(await inspect('--explain', '-f', '{{.Nme}}'), {
    exitCode: 1,
    stderr: 'a container has no field .Nme; nearest: .Name\n',
  });
});
