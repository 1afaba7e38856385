import {execFile} from 'node:child_process';
import {fileURLToPath} from 'node:url';
import {promisify} from 'node:util';
import test from 'ava';
import {commandsOf, markdownBlocks} from '../helpers/markdown-blocks.js';
import {ownRoot} from '../helpers/own-root.js';
import {asRoot} from '../helpers/requires.js';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../../', import.meta.url));
const blocks = markdownBlocks('README.md');

/** What CI runs before it gets here, and what would start this test again. */
const RUN_ELSEWHERE = /^(npm ci|npm test)\b/;

test('the README says the two commands that set everything up', t => {
  const commands = blocks.filter(isConsole).flatMap(commandsOf);
  t.is(commands[0]?.command, 'npm ci && npx --no coracle run --rm hello-world');
  t.true(commands.some(({command}) => command === 'npm test'));
});

asRoot(
  'each command in the README prints what the README shows, but for numbers that differ between runs',
  async t => {
    const env = ownRoot(t);
    const shown = blocks.filter(isConsole).flatMap(commandsOf);
    const commands = shown
      .map(({command, output}) => ({command: command.replace(/^npm ci && /, ''), output}))
      .filter(({command}) => !RUN_ELSEWHERE.test(command));
    t.true(commands.length > 0);
    for (const {command, output} of commands) {
      const {stdout} = await run('sh', ['-c', command], {cwd: root, env});
      if (output === '') t.pass(command);
      else t.is(withoutNumbers(stdout.trimEnd()), withoutNumbers(output), command);
    }
  },
);

// As a module of its own on standard input: inside this package, 'coracle' is this package.
for (const {text} of blocks.filter(({language}) => language === 'js')) {
  asRoot(`the README's example runs: ${text.split('\n')[0]}`, async t => {
    const child = run(process.execPath, ['--input-type=module', '-'], {cwd: root, env: ownRoot(t)});
    child.child.stdin!.end(text);
    const {stdout} = await child;
    t.regex(stdout, /\S/);
  });
}

function isConsole({language}: {language: string}): boolean {
  return language === 'console';
}

/** Host names are twelve hexadecimal digits; times, pids and namespace ids are decimal. Columns move with their width. */
function withoutNumbers(text: string): string {
  return text
    .replace(/\b[0-9a-f]{12}\b/g, 'ID')
    .replace(/\d+(\.\d+)?/g, 'N')
    .replace(/ +/g, ' ');
}
