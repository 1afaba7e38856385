import {execFileSync} from 'node:child_process';
import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import test from 'ava';
import {packageRoot} from '../../src/binding/index.js';

const holds = test.macro({
  exec(t, program: string, ...args: readonly string[]) {
    const root = packageRoot();
    execFileSync('make', ['-s', '-C', `${root}/native`, 'sanitize'], {stdio: ['ignore', 'pipe', 'pipe']});
    const directory = mkdtempSync(join(tmpdir(), 'coracle-sanitize-'));
    try {
      const output = execFileSync(`${root}/native/build/sanitize/${program}`, [directory, ...args], {
        encoding: 'utf8',
      });
      const facts = output.trimEnd().split('\n');
      t.true(facts.length >= 13);
      t.true(
        facts.every(fact => fact.startsWith('ok ')),
        output,
      );
    } finally {
      rmSync(directory, {recursive: true, force: true});
    }
  },
  title: (_, program, ...args) =>
    `${[program, ...args].join(' ')} holds its promises under the address and undefined-behaviour sanitizers`,
});
test.serial(holds, 'execute-test');
test.serial(holds, 'monitor-test');
test.serial(holds, 'health-test');
// Rounds of bytes that nobody should send; the seed says which.
test.serial(holds, 'resolve-test', '5000', '1');
test.serial(holds, 'cut-test', '300', '1');
if (process.env['CORACLE_TEST_LONG'] !== undefined) {
  for (let seed = 2; seed <= 9; seed++) {
    test.serial(holds, 'resolve-test', '50000', String(seed));
    test.serial(holds, 'cut-test', '5000', String(seed));
  }
}
