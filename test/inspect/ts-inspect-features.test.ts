import {mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {readFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import test, {type ExecutionContext} from 'ava';
import type {InspectIo} from '../../src/cli/inspect-io.js';
import {main} from '../../src/cli/ts-inspect.js';

/** What `ts-inspect` has beyond `docker inspect`. */

const web = readFileSync(new URL('conformance/data/container-web.json', import.meta.url), 'utf8');

async function run(argv: readonly string[], io: Partial<InspectIo> = {}) {
  const result = {exitCode: 0, stdout: '', stderr: ''};
  result.exitCode = await main(argv, {
    stdout: text => {
      result.stdout += text;
    },
    stderr: text => {
      result.stderr += text;
    },
    readInput: async () => web,
    readText: path => readFile(path, 'utf8'),
    resolve: async (kind, name) => (kind === 'container' && name === 'web' ? web : undefined),
    names: async () => ['web', 'db', 'app:1.0'],
    pause: async () => false,
    now: () => 0,
    version: '1.2.3',
    ...io,
  });
  return result;
}

/** A file that goes with the test. */
function file(t: ExecutionContext, name: string, text: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'coracle-test-'));
  t.teardown(() => rmSync(folder, {recursive: true}));
  writeFileSync(join(folder, name), text);
  return join(folder, name);
}

/** A container whose state is another each time it is looked at; then whoever watches has seen enough. */
function states(...statuses: readonly string[]): Partial<InspectIo> & {looks: number} {
  const io = {
    looks: 0,
    resolve: async () => JSON.stringify({Name: '/job', State: {Status: statuses[io.looks]}}),
    pause: async () => ++io.looks < statuses.length,
    now: () => io.looks * 100,
  };
  return io;
}

test('--jsonpath prints a value a line: strings as they are, the rest as JSON with its literals', async t => {
  t.deepEqual(await run(['--jsonpath', '$..IPAddress', 'web']), {
    exitCode: 0,
    stdout: '\n172.30.0.10\n172.31.0.2\n',
    stderr: '',
  });
  const resolve = async () => '{"a":1.0,"b":[9007199254740993,1e3,"x"],"c":null}';
  t.is(
    (await run(['--jsonpath', '$.*', 'web'], {resolve})).stdout,
    '1.0\n[9007199254740993,1e3,"x"]\nnull\n',
  );
  t.deepEqual(await run(['--jsonpath', '$.none', 'web']), {exitCode: 0, stdout: '', stderr: ''});
});

for (const path of ['$..[?(@.IPAddress)]', '$.State[(process.exit(3))]', '$.none[?(@.a)]']) {
  test(`--jsonpath never evaluates a script: ${path} is refused before anything is looked up`, async t => {
    const {exitCode, stdout, stderr} = await run(['--jsonpath', path, 'web'], {
      resolve: () => t.fail() as never,
    });
    t.deepEqual([exitCode, stdout], [64, '']);
    t.true(stderr.startsWith(`jsonpath: ${path}: script expressions are not evaluated`), stderr);
  });
}

test('--template text is a report of a container', async t => {
  const {exitCode, stdout} = await run(['--template', 'text', 'web']);
  t.is(exitCode, 0);
  t.regex(stdout, /^web \(5a7d76fc7be9\)\n/);
  t.regex(stdout, /State {6}running, healthy\n/);
  t.regex(stdout, /appnet {2}172\.30\.0\.10\/24, gateway 172\.30\.0\.1/);
  t.regex(stdout, /80\/tcp <- 0\.0\.0\.0:8080/);
  t.regex(stdout, /desc=a <b> & "c"\n/);
});

test('--template html is the same for a browser, with everything escaped', async t => {
  const {stdout} = await run(['--template', 'html', 'web']);
  t.regex(stdout, /^<!doctype html>/);
  t.regex(stdout, /<td>a &lt;b&gt; &amp; &quot;c&quot;/);
  t.notRegex(stdout, /<b>/);
});

test('--template takes a Handlebars file, which reaches nothing but the data', async t => {
  const path = file(
    t,
    'own.txt.hbs',
    '{{name Name}} {{#each Mounts}}{{Type}} {{/each}}' +
      '[{{constructor.name}}{{__proto__.toString}}{{#with (lookup this "constructor")}}{{name}}{{/with}}]',
  );
  t.is((await run(['--template', path, 'web'])).stdout, 'web bind volume volume []');
});

test('a report that cannot be read or parsed exits with 64 before anything is looked up', async t => {
  const resolve = () => t.fail() as never;
  t.is((await run(['--template', '/nowhere/x.hbs', 'web'], {resolve})).exitCode, 64);
  const path = file(t, 'broken.hbs', '{{#each');
  const {exitCode, stderr} = await run(['--template', path, 'web'], {resolve});
  t.is(exitCode, 64);
  t.regex(stderr, /broken\.hbs: Parse error on line 1/);
});

test('--watch prints at first, and again whenever the output is another', async t => {
  const io = states('created', 'running', 'running', 'exited');
  const {exitCode, stdout} = await run(['--watch', '-f', '{{.State.Status}}', 'job'], io);
  t.deepEqual([exitCode, stdout], [0, 'created\nrunning\nexited\n']);
});

test('--watch ends when the object is gone', async t => {
  let looks = 0;
  const {exitCode, stdout, stderr} = await run(['--watch', '-f', '{{.Name}}', 'web'], {
    resolve: async kind => (kind === 'container' && looks === 0 ? web : undefined),
    pause: async () => {
      looks++;
      return true;
    },
  });
  t.deepEqual([exitCode, stdout, stderr], [1, '/web\n', 'Error: No such object: web\n']);
});

test('--wait-for exits with 0 as soon as the template renders true, and then prints what --format asks for', async t => {
  const io = states('created', 'running', 'exited', 'removed');
  const wait = ['--wait-for', '{{eq .State.Status "exited"}}'];
  t.deepEqual(await run([...wait, '-f', '{{.State.Status}}', 'job'], io), {
    exitCode: 0,
    stdout: 'exited\n',
    stderr: '',
  });
  t.is(io.looks, 2);
  t.deepEqual(await run([...wait, 'job'], states('exited')), {exitCode: 0, stdout: '', stderr: ''});
});

test('--wait-for says what it saw last when --timeout is over, with the exit code of timeout(1)', async t => {
  const io = states('created', 'created', 'running', 'running', 'running');
  t.deepEqual(await run(['--wait-for', '{{eq .State.Status "exited"}}', '--timeout', '200ms', 'job'], io), {
    exitCode: 124,
    stdout: '',
    stderr: 'timed out after 200ms: job: "false"\n',
  });
  const failing = await run(['--wait-for', '{{.Nope}}', '--timeout', '0s', 'job'], states('created'));
  t.regex(
    failing.stderr,
    /^timed out after 0s: job: template parsing error: .* map has no entry for key "Nope"\n$/,
  );
});

test('--wait-for ends at once for an object that does not exist or a template that does not parse', async t => {
  t.deepEqual(await run(['--wait-for', 'true', 'nope']), {
    exitCode: 1,
    stdout: '',
    stderr: 'Error: No such object: nope\n',
  });
  t.is((await run(['--wait-for', '{{', 'web'])).exitCode, 64);
  t.is((await run(['--wait-for', 'x', '--timeout', '5', 'web'])).exitCode, 1);
});

test('--explain prints the parsed tree with the types of fields', async t => {
  const template = '{{range $k, $v := .NetworkSettings.Networks}}{{$k}} {{$v.IPAddress}}{{end}}';
  t.deepEqual(await run(['--explain', '-f', template]), {
    exitCode: 0,
    stdout: `range $k, $v := .NetworkSettings.Networks
  field .NetworkSettings.Networks: map[string]*network.EndpointSettings
each
  print {{$k}}
    variable $k
  text " "
  print {{$v.IPAddress}}
    variable $v.IPAddress: string
`,
    stderr: '',
  });
});

const explains = test.macro({
  exec(t, template: string, complaint: string, argv: readonly string[] = []) {
    return run(['--explain', '-f', template, ...argv]).then(({exitCode, stderr}) => {
      t.deepEqual([exitCode, stderr], [complaint === '' ? 0 : 1, complaint]);
    });
  },
  title: (_, template: string, complaint: string, _argv?: readonly string[]) =>
    complaint === ''
      ? `--explain finds nothing wrong with ${template}`
      : `--explain ${template}: ${complaint.trim()}`,
});

test(explains, '{{.State.Statsu}}', 'a container has no field .State.Statsu; nearest: .State.Status\n');
test(
  explains,
  '{{.IPAddress}}',
  'a container has no field .IPAddress; nearest: .NetworkSettings.IPAddress\n',
  ['web'],
);
test(
  explains,
  '{{(index .Mounts 0).Sorce}}',
  'a container has no field (index .Mounts 0).Sorce; nearest: (index .Mounts 0).Source\n',
);
test(
  explains,
  '{{.HostConfig.NetworkMode.IsHots}}',
  'a container has no field .HostConfig.NetworkMode.IsHots; nearest: .HostConfig.NetworkMode.IsHost\n',
);
test(explains, '{{.RepoTag}}', 'an image has no field .RepoTag; nearest: .RepoTags\n', ['--type', 'image']);
test(explains, '{{.Id}} {{.ID}} {{.HostConfig.CpuShares}} {{.Config.Labels.anything}}', '');
test(explains, '{{range .Mounts}}{{.Source}}{{end}}{{with .State}}{{.Pid}}{{end}}{{.Name}}', '');
test(explains, '{{define "t"}}{{.Whatever}}{{end}}{{template "t" .State}}', '');

test('--explain exits with 64 for a template that does not parse', async t => {
  t.deepEqual(await run(['--explain', '-f', '{{if}}']), {
    exitCode: 64,
    stdout: '',
    stderr: 'template parsing error: template: :1: missing value for if\n',
  });
});

const completes = test.macro({
  async exec(t, words: readonly string[], expected: readonly string[]) {
    const {stdout} = await run(['__complete', ...words]);
    t.deepEqual(stdout.split('\n').slice(0, -1), expected);
  },
  title: (_, words: readonly string[]) => `completion in ${words.join(' ')}`,
});

test(
  completes,
  ['bash', "ts-inspect -f '{{json .State.St"],
  ['{{json .State.StartedAt', '{{json .State.Status'],
);
test(completes, ['zsh', 'ts-inspect', '-f', "'{{.RootFS.L"], ["'{{.RootFS.Layers"]);
test(completes, ['fish', 'ts-inspect', '--type', 'volume', '-f', '{{.Mo'], ['{{.Mountpoint']);
test(completes, ['bash', 'ts-inspect '], ['web', 'db', 'app:1.0']);
test(completes, ['bash', 'ts-inspect app:1'], ['1.0']);
test(completes, ['bash', 'coracle inspect d'], ['db']);
test(completes, ['bash', 'coracle run d'], []);
test(completes, ['bash', 'ts-inspect --type i'], ['image']);
test(completes, ['bash', 'ts-inspect --wa'], ['--wait-for', '--watch']);
test(completes, ['bash', 'ts-inspect --input '], []);

test('--completion prints a script for each shell', async t => {
  for (const shell of ['bash', 'zsh', 'fish']) {
    t.regex((await run(['--completion', shell])).stdout, /ts-inspect __complete/, shell);
  }
  t.is((await run(['--completion', 'tcsh'])).exitCode, 1);
});

const refuses = test.macro({
  async exec(t, argv: readonly string[], because: RegExp) {
    const {exitCode, stderr} = await run(argv);
    t.is(exitCode, 1);
    t.regex(stderr, because);
  },
  title: (_, argv: readonly string[]) => `refuses ${argv.join(' ')}`,
});

test(refuses, ['--format', 'x', '--jsonpath', '$', 'web'], /exclude each other/);
test(refuses, ['--explain', 'web'], /give it one with --format/);
test(refuses, ['--timeout', '5s', 'web'], /belongs to --wait-for/);
test(refuses, ['--watch', '--wait-for', 'x', 'web'], /exclude each other/);
test(refuses, ['--watch', '--input', '-'], /read once/);
