import {readdirSync, readFileSync} from 'node:fs';
import test from 'ava';

/**
 * Which room may import which: docs/architecture.md has the drawing. `errors` is src/errors.ts, a leaf below every
 * room except inspect, which stands alone so that it runs in a browser. `cli` is what the programs in bin/ run.
 */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  errors: [],
  inspect: [],
  oci: ['errors'],
  binding: ['errors'],
  cgroup: ['binding', 'errors'], // binding for the type of a step: the room yields steps and performs none
  registry: ['oci', 'errors'],
  store: ['oci', 'binding', 'errors'],
  network: ['binding', 'store', 'errors'],
  sdk: ['binding', 'store', 'registry', 'network', 'cgroup', 'oci', 'errors'],
  build: ['sdk', 'store', 'registry', 'oci', 'errors'],
  sidecar: ['sdk', 'errors'],
  'engine-api': ['sdk', 'errors'],
  cli: ['sdk', 'sidecar', 'build', 'engine-api', 'inspect', 'errors'],
};

/**
 * Rooms meet only at index.ts, but for one second door: steps.ts is the seam to the native core, plain data that
 * compiles to nothing. Rooms that yield steps take it without what loads the library.
 */
const DOORS: Readonly<Record<string, readonly string[]>> = {binding: ['index.js', 'steps.js']};

/** Packages of others, and the rooms that may know them. A package that is not named here is for nobody. */
const KNOWS_PACKAGE: Readonly<Record<string, readonly string[]>> = {
  koffi: ['binding'],
  commander: ['cli'],
  croner: ['sidecar'],
  handlebars: ['cli'],
  'jsonpath-plus': ['cli'],
  pino: ['cli'],
  '@noble/ciphers': ['sdk'],
};

/** Pure rooms stay away from everything of Node's that reads or writes; inspect from all of Node. */
const TOUCHES_THE_WORLD =
  /^node:(fs|net|http|https|http2|tls|dgram|dns|child_process|worker_threads|cluster)\b/;

const src = new URL('../../src/', import.meta.url);

test('each import in src/ is one that the table of rooms allows', t => {
  const files = readdirSync(src, {recursive: true, encoding: 'utf8'}).filter(name => name.endsWith('.ts'));
  t.true(files.includes('errors.ts'));
  t.deepEqual(
    files.flatMap(file => objections(file, readFileSync(new URL(file, src), 'utf8'))),
    [],
  );
});

const objects = test.macro({
  exec(t, file: string, line: string, because: RegExp) {
    const found = objections(file, line);
    t.is(found.length, 1, found.join('; '));
    t.regex(found[0]!, because);
  },
  title: (_, file, line) => `${file} may not say: ${line}`,
});

test(objects, 'oci/digest.ts', "import {lock} from '../store/index.js';", /oci may not import store/);
test(objects, 'sdk/run.ts', "import {render} from '../inspect/index.js';", /sdk may not import inspect/);
test(objects, 'sdk/run.ts', "import type {Blob} from '../store/blobs.js';", /only through store\/index\.js/);
test(objects, 'sdk/run.ts', "export {x} from '../store/blobs.js';", /only through store\/index\.js/);
test(
  objects,
  'sdk/run.ts',
  "import {declare} from '../binding/native.js';",
  /only through binding\/index\.js/,
);
test(objects, 'sdk/run.ts', "const koffi = await import('koffi');", /sdk may not know the package koffi/);
test(objects, 'store/tar.ts', "const x = require('left-pad');", /store may not know the package left-pad/);
test(objects, 'store/x.ts', "import {X} from '../index.js';", /store may not import the public face/);
test(
  objects,
  'inspect/lex.ts',
  "import {CoracleError} from '../errors.js';",
  /inspect may not import errors/,
);
test(objects, 'inspect/lex.ts', "import {inspect} from 'node:util';", /inspect stands alone/);
test(objects, 'oci/manifest.ts', "import {open} from 'node:fs/promises';", /oci is pure/);
test(objects, 'errors.ts', "import {Store} from './store/index.js';", /errors may not import store/);
test(objects, 'attic/old.ts', "import {readFile} from 'node:fs';", /attic is no room/);
test(objects, 'index.ts', "export {Blob} from './store/blobs.js';", /only through store\/index\.js/);

test('the public face may import every room, and a room its own files', t => {
  t.deepEqual(
    objections('index.ts', "export {a} from './sdk/index.js';\nexport {b} from './inspect/index.js';"),
    [],
  );
  t.deepEqual(
    objections('sdk/deep/er.ts', "import {a} from '../run.js';\nimport {C} from '../../errors.js';"),
    [],
  );
});

/** What is wrong with the imports of one file of src/, in sentences. */
function objections(file: string, source: string): string[] {
  const room = roomOf(file);
  const isFace = file === 'index.ts';
  if (!isFace && !(room in MAY_IMPORT)) return [`${file}: ${room} is no room of this house`];
  const found: string[] = [];
  for (const specifier of imports(source)) {
    const object = (sentence: string) => found.push(`${file}: ${sentence} (${specifier})`);
    if (specifier.startsWith('node:')) {
      if (room === 'inspect') object('inspect stands alone, without Node');
      if (room === 'oci' && TOUCHES_THE_WORLD.test(specifier)) object('oci is pure');
    } else if (!specifier.startsWith('.')) {
      const name = specifier.match(/^(@[^/]+\/)?[^/]+/)![0];
      if (!KNOWS_PACKAGE[name]?.includes(room)) object(`${room} may not know the package ${name}`);
    } else {
      const target = new URL(specifier, `file:///${file}`).pathname.slice(1);
      const other = roomOf(target);
      if (other === room && !isFace) continue;
      if (other === 'index') object(`${room} may not import the public face`);
      else if (!isFace && !MAY_IMPORT[room]!.includes(other)) object(`${room} may not import ${other}`);
      else if (other !== 'errors' && !doorsOf(other).includes(target))
        object(`only through ${other}/index.js`);
    }
  }
  return found;
}

/** `sdk` for "sdk/run.ts"; a file at the top of src/ is a room of its own: `errors`. */
function roomOf(file: string): string {
  return file.split('/')[0]!.replace(/\.(ts|js)$/, '');
}

function doorsOf(room: string): string[] {
  return (DOORS[room] ?? ['index.js']).map(file => `${room}/${file}`);
}

/** What a file imports: static, re-exported, dynamic, or through a require of its own. */
function imports(source: string): string[] {
  const statements = /^(?:import|export)\b[^'"`;]*?\bfrom\s*['"]([^'"]+)['"]|^import\s*['"]([^'"]+)['"]/gm;
  const calls = /\b(?:import|require)\(\s*['"`]([^'"`]+)['"`]/g;
  return [...source.matchAll(statements), ...source.matchAll(calls)].map(match => (match[1] ?? match[2])!);
}
