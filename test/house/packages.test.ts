import {readdirSync, readFileSync} from 'node:fs';
import test from 'ava';

const root = new URL('../../', import.meta.url);

test('every Debian package that a test wants is listed in test/debian-packages.txt', t => {
  const listed = new Set(
    readFileSync(new URL('test/debian-packages.txt', root), 'utf8')
      .split('\n')
      .map(line => line.replace(/#.*/, '').trim())
      .filter(line => line !== ''),
  );
  t.true(listed.size > 0);
  for (const file of testFiles()) {
    const source = readFileSync(new URL(file, root), 'utf8');
    for (const [, name] of source.matchAll(/requires\(\s*'[^']+',\s*'([^']+)'/g)) {
      t.true(listed.has(name!), `${file} wants ${name}`);
    }
  }
});

function testFiles(): string[] {
  return readdirSync(new URL('test/', root), {recursive: true, encoding: 'utf8'})
    .filter(name => name.endsWith('.test.ts'))
    .map(name => `test/${name}`);
}
