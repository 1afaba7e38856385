import {existsSync, readFileSync} from 'node:fs';
import {readFile} from 'node:fs/promises';
import test from 'ava';
import {type InspectIo, main} from '../../src/cli/ts-inspect.js';

const data = new URL('conformance/data/', import.meta.url);
const documentOf = (kind: string, name: string): string | undefined => {
  const file = new URL(`${kind}-${name.replace(/:latest$/, '')}.json`, data);
  return existsSync(file) ? readFileSync(file, 'utf8') : undefined;
};

async function run(argv: readonly string[], io: Partial<InspectIo> = {}) {
  const result = {exitCode: 0, stdout: '', stderr: ''};
  result.exitCode = await main(argv, {
    stdout: text => {
      result.stdout += text;
    },
    stderr: text => {
      result.stderr += text;
    },
    readInput: async () => '',
    readText: path => readFile(path, 'utf8'),
    names: async () => [],
    pause: async () => false,
    now: () => 0,
    resolve: async (kind, name) => documentOf(kind, name),
    version: '1.2.3',
    ...io,
  });
  return result;
}

interface Recorded {
  readonly id: string;
  readonly args: string[];
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

const recorded = readFileSync(new URL('../cases/cli.jsonl', data), 'utf8')
  .trim()
  .split('\n')
  .map(line => JSON.parse(line) as Recorded)
  // `docker ps` and `docker images` are other programs.
  .filter(({args}) => args.includes('inspect'));

for (const {id, args, ...expected} of recorded) {
  test(`prints what "docker ${args.join(' ')}" prints (${id})`, async t => {
    const argv = args[0] === 'inspect' ? args.slice(1) : ['--type', args[0]!, ...args.slice(2)];
    t.deepEqual(await run(argv), expected);
  });
}

test('both pairs of delimiters give the same address', async t => {
  const braces = await run(['--format', '{{.NetworkSettings.Networks.appnet.IPAddress}}', 'web']);
  const angles = await run(['--format', '<<.NetworkSettings.Networks.appnet.IPAddress>>', 'web']);
  t.deepEqual(braces, {exitCode: 0, stdout: '172.30.0.10\n', stderr: ''});
  t.deepEqual(angles, braces);
});

test('any delimiters can be chosen', async t => {
  t.is((await run(['--delims', '[[,]]', '-f', '[[.Name]] {{', 'web'])).stdout, '/web {{\n');
  t.is((await run(['--delims', '[[', '-f', 'x', 'web'])).exitCode, 1);
});

test('objects that exist are printed although another does not', async t => {
  t.deepEqual(await run(['-f', '{{.Name}}', 'web', 'nope', 'db']), {
    exitCode: 1,
    stdout: '/web\n/db\n',
    stderr: 'Error: No such object: nope\n',
  });
});

test('a template that does not parse exits with 64 before anything is looked up', async t => {
  const resolve = () => t.fail() as never;
  t.deepEqual(await run(['-f', '{{.Name', 'web'], {resolve}), {
    exitCode: 64,
    stdout: '',
    stderr: 'template parsing error: template: :1: unclosed action\n',
  });
});

test('a template that fails on an object exits with 1 and reports the second attempt', async t => {
  const {exitCode, stderr} = await run(['-f', '{{.Nme}}', 'web']);
  t.is(exitCode, 1);
  t.is(
    stderr,
    'template parsing error: template: :1:2: executing "" at <.Nme>: map has no entry for key "Nme"\n',
  );
});

test('--size reaches containers, and is said to be ignored for the rest', async t => {
  const sizes: boolean[] = [];
  const result = await run(['-s', '-f', '{{.Id}}', 'web', 'bb'], {
    resolve: async (kind, name, {size}) => {
      sizes.push(size);
      return documentOf(kind, name);
    },
  });
  t.is(result.stderr, 'WARNING: --size ignored for image\n');
  t.true(sizes.every(Boolean));
});

test('flags are read as Docker reads them', async t => {
  t.is(
    (await run(['-f={{.Id}}', '--type=volume', 'web'])).stderr,
    'Error response from daemon: get web: no such volume\n',
  );
  t.is((await run(['-fjson', 'data1'])).stdout, `[${documentOf('volume', 'data1')!.trim()}]\n`);
  t.is((await run(['web', '-sf', '{{.Name}}'])).stdout, '/web\n');
  const unknown = await run(['--foo', 'x']);
  t.is(unknown.exitCode, 125);
  t.regex(unknown.stderr, /^unknown flag: --foo\n\nUsage: {2}ts-inspect/);
  t.regex((await run(['--format'])).stderr, /^flag needs an argument: --format\n/);
  t.is(
    (await run(['--type', 'pod', 'x'])).stderr,
    'unknown type: "pod": must be one of "config", "container", "image", "network", "node", "plugin", "secret", "service", "task", "volume"\n',
  );
  t.regex((await run(['--type', 'task', 'x'])).stderr, /^type "task" is not supported/);
  t.is((await run(['--compat', '19', 'x'])).exitCode, 1);
  t.is((await run([])).exitCode, 1);
  t.is((await run(['--version'])).stdout, 'ts-inspect 1.2.3\n');
  t.regex((await run(['--help'])).stdout, /^Usage: {2}ts-inspect/);
});

test('--input reads a saved "docker inspect", whole or by name, without an engine', async t => {
  const saved = `[${['container-web', 'image-bb', 'volume-data1', 'network-appnet']
    .map(file => readFileSync(new URL(`${file}.json`, data), 'utf8'))
    .join(',')}]`;
  const io = {
    readInput: async (path: string) => (path === '-' ? saved : (t.fail() as never)),
    resolve: () => t.fail() as never,
  };
  const format = '{{printf "%T" .}}';
  const types = 'container.InspectResponse\nimage.InspectResponse\nvolume.Volume\nnetwork.Inspect\n';
  t.is((await run(['--input', '-', '-f', format], io)).stdout, types);
  t.is(
    (await run(['--input', '-', '-f', '{{.HostConfig.NetworkMode.IsUserDefined}}', 'web'], io)).stdout,
    'true\n',
  );
  t.is((await run(['--input', '-', '-f', '{{.Id}}', '44f62b16'], io)).stdout, `${JSON.parse(saved)[1].Id}\n`);
  t.is(
    (await run(['--input', '-', '--type', 'image', 'web'], io)).stderr,
    'Error response from daemon: No such image: web\n',
  );
  t.regex(
    (await run(['--input', '-'], {readInput: async () => '[{]'})).stderr,
    /^-: not a JSON document: invalid character/,
  );
});

test('jsonl prints one object a line', async t => {
  const {stdout} = await run(['-f', 'jsonl', 'web', 'db']);
  t.deepEqual(
    stdout
      .trim()
      .split('\n')
      .map(line => JSON.parse(line).Name),
    ['/web', '/db'],
  );
});

test('a profile hides the fields that its release does not have', async t => {
  const format = ['-f', '{{.NetworkSettings.IPAddress}}', 'plain'];
  t.is((await run(format)).stdout, '172.17.0.2\n');
  t.is(
    (await run(['--compat', '29', ...format])).stderr,
    'template parsing error: template: :1:18: executing "" at <.NetworkSettings.IPAddress>: map has no entry for key "IPAddress"\n',
  );
});
