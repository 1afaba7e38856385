import {execFileSync} from 'node:child_process';
import {mkdtempSync, rmSync, symlinkSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {requires} from '../helpers/requires.js';

/** The completion scripts in the shells that they are for, with the program as it was built. */

const program = fileURLToPath(new URL('../../bin/ts-inspect.cjs', import.meta.url));

requires('fish', 'fish')('fish completes kinds of objects and fields of a template', t => {
  const folder = mkdtempSync(join(tmpdir(), 'coracle-fish-'));
  t.teardown(() => rmSync(folder, {recursive: true}));
  symlinkSync(program, join(folder, 'ts-inspect'));
  const complete = (line: string): string[] =>
    execFileSync('fish', ['--no-config', '-c', 'ts-inspect --completion fish | source; complete -C $line'], {
      encoding: 'utf8',
      cwd: folder, // files of the working directory are offered as well
      env: {HOME: folder, PATH: `${folder}:${process.env['PATH']}`, LANG: 'C.UTF-8', line},
    })
      .split('\n')
      .filter(candidate => candidate !== '');
  t.deepEqual(complete('ts-inspect --type co'), ['container']);
  t.deepEqual(complete("ts-inspect --format '{{.State.St"), ['{{.State.StartedAt', '{{.State.Status']);
});
