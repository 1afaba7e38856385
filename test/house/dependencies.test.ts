import {readdirSync, readFileSync} from 'node:fs';
import test from 'ava';

const root = new URL('../../', import.meta.url);
const {dependencies, devDependencies, allowScripts} = JSON.parse(read('package.json')) as Record<
  'dependencies' | 'devDependencies' | 'allowScripts',
  Record<string, unknown>
>;
const lock = JSON.parse(read('package-lock.json')) as {
  packages: Record<string, {hasInstallScript?: boolean; dev?: boolean}>;
};

test('each dependency has its line in docs/dependencies.md', t => {
  const described = read('docs/dependencies.md');
  for (const name of Object.keys({...dependencies, ...devDependencies})) {
    const short = name.replace('@biomejs/', '');
    t.true(described.includes(`| [${short}](`) || described.includes(`\`${name}\``), name);
  }
});

test('each dependency at run time is imported somewhere in src/', t => {
  const sources = readdirSync(new URL('src/', root), {recursive: true, encoding: 'utf8'})
    .filter(name => name.endsWith('.ts'))
    .map(name => read(`src/${name}`))
    .join('\n');
  for (const name of Object.keys(dependencies)) {
    t.regex(sources, new RegExp(`(from |import\\(|require\\(|resolve\\()'${name}['/]`), name);
  }
});

test('whatever has an install script is denied to run it, by name', t => {
  const withScript = Object.entries(lock.packages)
    .filter(([, {hasInstallScript}]) => hasInstallScript === true)
    .map(([path]) => path.replace(/^.*node_modules\//, ''))
    .filter(name => name !== 'fsevents'); // for macOS alone, never installed here
  for (const name of withScript) t.is(allowScripts[name], false, name);
});

test('the lock file has an entry for each optional package of each platform: npm ci refuses it otherwise', t => {
  const {packages} = JSON.parse(read('package-lock.json')) as {
    packages: Record<string, {optionalDependencies?: Record<string, string>}>;
  };
  for (const [path, {optionalDependencies = {}}] of Object.entries(packages)) {
    for (const name of Object.keys(optionalDependencies)) {
      t.true(
        `node_modules/${name}` in packages || `${path}/node_modules/${name}` in packages,
        `${path}: ${name}`,
      );
    }
  }
});

function read(path: string): string {
  return readFileSync(new URL(path, root), 'utf8');
}
