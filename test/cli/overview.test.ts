import {execFile} from 'node:child_process';
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {promisify} from 'node:util';
import test from 'ava';
import {ALIASES, COMMANDS, GROUPS} from '../../src/cli/commands.js';
import {command} from './recording-sdk.js';

const run = promisify(execFile);

for (const [name, {load}] of Object.entries(COMMANDS)) {
  test(`coracle ${name} --help says what it does, its flags and an example`, async t => {
    const {stdout, stderr, exitCode} = await command([...name.split(' '), '--help']);
    const {command: loaded} = await load();
    t.is(exitCode, 0);
    t.is(stderr, '');
    t.is(loaded.name, name);
    t.true(
      stdout.startsWith(
        `Usage:  coracle ${name}${loaded.usage === '' ? '' : ` ${loaded.usage}`}\n\n${loaded.summary}\n`,
      ),
    );
    t.regex(stdout, /\nExamples:\n {2}\S/);
    for (const flag of loaded.flags) {
      const shown = new RegExp(`^ {2}(-\\w, | {4})--${flag.name}( |$)`, 'm').test(stdout);
      t.is(shown, !flag.hidden && flag.unsupported === undefined, flag.name);
      if (shown) t.true(flag.summary.length > 0, flag.name);
    }
    const options = stdout.slice(0, stdout.indexOf('\nExamples:')).split('\n').slice(3);
    t.deepEqual(
      options.filter(line => line.length > 80),
      [],
    );
  });
}

test('help COMMAND is COMMAND --help, of groups as well', async t => {
  for (const words of [[], ['run'], ['images'], ['image'], ['image', 'ls']]) {
    const asked = await command(['help', ...words]);
    t.is(asked.exitCode, 0);
    t.is(asked.stdout, (await command([...words, '--help'])).stdout);
  }
  t.like(await command(['help', 'nope']), {exitCode: 1, stdout: '', stderr: 'unknown help topic: nope\n'});
});

test('two flags of a command never share a name or a letter', async t => {
  for (const [name, {load}] of Object.entries(COMMANDS)) {
    const {flags} = (await load()).command;
    const names = flags.flatMap(flag => [flag.name, ...(flag.short === undefined ? [] : [flag.short])]);
    t.is(new Set(names).size, names.length, name);
  }
});

test('every other spelling leads to a command', t => {
  for (const name of Object.values(ALIASES)) t.true(Object.hasOwn(COMMANDS, name), name);
});

test('without a command the overview lists all of them', async t => {
  const {stdout, exitCode} = await command([]);
  t.is(exitCode, 0);
  for (const name of Object.keys(COMMANDS)) {
    if (!name.startsWith('container ')) t.regex(stdout, new RegExp(`^  ${name} `, 'm'));
  }
  t.is((await command(['--help'])).stdout, stdout);
});

for (const group of Object.keys(GROUPS)) {
  test(`coracle ${group} lists what it can do with them`, async t => {
    t.regex(
      (await command([group])).stdout,
      new RegExp(`^Usage: {2}coracle ${group} COMMAND\\n\\n.*\\n\\nCommands:\\n( {2}\\S+ +.*\\n)+`),
    );
  });
}

test('an unknown command and an unknown global flag are refused as docker does', async t => {
  t.deepEqual(await command(['nope']), {
    exitCode: 1,
    stdout: '',
    stderr: "coracle: unknown command: coracle nope\n\nRun 'coracle --help' for more information\n",
    asked: [],
  });
  t.is((await command(['--nope', 'ps'])).exitCode, 125);
});

test('nothing of an object prototype is a command', async t => {
  for (const name of ['constructor', 'toString', '__proto__'])
    t.is((await command([name])).exitCode, 1, name);
});

test('old Nodes are told what is needed, by programs that they can parse', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'coracle-test-'));
  t.teardown(() => rmSync(folder, {recursive: true}));
  const old = join(folder, 'old.cjs');
  writeFileSync(old, "Object.defineProperty(process, 'versions', {value: {node: '18.19.1'}});");
  for (const program of ['coracle', 'ts-inspect']) {
    const path = fileURLToPath(new URL(`../../bin/${program}.cjs`, import.meta.url));
    const error = await t.throwsAsync(run(process.execPath, ['--require', old, path, 'ps']));
    t.is(
      (error as unknown as {stderr: string}).stderr,
      `${program} needs Node 20.19 or newer; this is v18.19.1. See https://nodejs.org/en/download\n`,
    );
  }
});
