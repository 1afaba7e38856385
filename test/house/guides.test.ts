import {execFile} from 'node:child_process';
import {chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {promisify} from 'node:util';
import {commandsOf, markdownBlocks} from '../helpers/markdown-blocks.js';
import {ownRoot} from '../helpers/own-root.js';
import {asRoot} from '../helpers/requires.js';

const run = promisify(execFile);
const program = fileURLToPath(new URL('../../bin/coracle.cjs', import.meta.url));

asRoot('whoever types the commands of docs/backup.md sees what it shows', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'coracle-test-'));
  const bin = join(folder, 'bin');
  mkdirSync(bin);
  writeFileSync(join(bin, 'coracle'), `#!/bin/sh\nexec ${process.execPath} ${program} "$@"\n`);
  chmodSync(join(bin, 'coracle'), 0o755);
  const env = {...ownRoot(t), PATH: `${bin}:${process.env['PATH']}`};
  t.teardown(async () => {
    await run('coracle', ['rm', '-f', 'app'], {env}).catch(() => {});
    rmSync(folder, {recursive: true, force: true});
  });
  const commands = markdownBlocks('docs/backup.md')
    .filter(({language}) => language === 'console')
    .flatMap(commandsOf);
  t.true(commands.length > 10);
  // A line of a here-document is not output.
  for (const {command, output} of withHereDocuments(commands)) {
    const {stdout} = await run('sh', ['-ec', command], {cwd: folder, env});
    t.is(withoutNumbers(stdout.trimEnd()), withoutNumbers(output), command);
  }
});

function withHereDocuments(commands: readonly {command: string; output: string}[]) {
  return commands.map(({command, output}) => {
    const [, end] = /<<(\w+)$/.exec(command) ?? [];
    if (end === undefined) return {command, output};
    const at = output.indexOf(end);
    return {
      command: `${command}\n${output.slice(0, at + end.length)}`,
      output: output.slice(at + end.length).trim(),
    };
  });
}

/** What differs between two runs, and the width of columns with it. */
function withoutNumbers(text: string): string {
  return text
    .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'TIME')
    .replace(/\b[0-9a-f]{12}\b/g, 'ID')
    .replace(/(\d+ (seconds?|minutes?)|Less than a second|About a minute) ago/g, 'NOW')
    .replace(/ by [\w.-]+$/gm, ' by HOST')
    .replace(/\b\d+(\.\d+)?(B|kB)?/g, 'N')
    .replace(/NOW +\S+/g, 'NOW HOST')
    .replace(/ +/g, ' ');
}
