// Builds what the package runs on: the native core (native/build/, with gcc and make alone) and the JavaScript
// bundles (dist/). `npm ci` runs it as `prepare`; `npm run build` repeats it. `--core` or `--js` builds that part alone.
import {spawnSync} from 'node:child_process';
import {accessSync, constants, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync} from 'node:fs';
import {createRequire} from 'node:module';
import {basename, delimiter, dirname, join} from 'node:path';
import {fileURLToPath} from 'node:url';

const {LOADED_ON_USE} = createRequire(import.meta.url)('../bin/start.cjs');
const root = dirname(dirname(fileURLToPath(import.meta.url)));
const FILE_URL = "'use strict';const fileUrl = require('node:url').pathToFileURL(__filename).href;";

/** What programs import: ECMAScript modules. Code that two of them share goes into chunks beside them. */
const modules = {index: 'src/index.ts', inspect: 'src/inspect/index.ts', sidecar: 'src/sidecar/index.ts'};
/** What bin/ runs: each one CommonJS file, with its code cache beside it. docs/decisions/0006-code-cache.md */
const programs = {cli: 'src/cli/main.ts', 'ts-inspect': 'src/cli/ts-inspect-main.ts'};
/** What programs import when a command line needs it: files of their own, so that the others need not read them. */
const parts = [
  {imported: '../inspect/index.js', name: 'cli-templates', entry: 'src/inspect/index.ts'},
  {imported: 'pino', name: 'cli-log', entry: 'pino'},
  {imported: './inspect-with-sdk.js', name: 'cli-inspect-more', entry: 'src/cli/inspect-with-sdk.ts'},
  {imported: './inspect-extras.js', name: 'inspect-extras', entry: 'src/cli/inspect-extras.ts'},
  {imported: './inspect-jsonpath.js', name: 'inspect-jsonpath', entry: 'src/cli/inspect-jsonpath.ts'},
  {imported: './inspect-report.js', name: 'inspect-report', entry: 'src/cli/inspect-report.ts'},
  {imported: './open-sdk.js', by: 'ts-inspect-main.ts', name: 'ts-inspect-sdk', entry: 'src/cli/open-sdk.ts'},
];

/** What a sidecar container runs, by Node as it is: no more of the package than it calls. */
const agents = {'sidecar-agent': 'src/sidecar/tree/agent.ts'};

refuseOldNode();
if (!process.argv.includes('--js')) buildCore();
if (!process.argv.includes('--core')) await buildBundles();

function refuseOldNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major < 20 || (major === 20 && minor < 19)) {
    stop(`Coracle needs Node 20.19 or newer; this is ${process.versions.node}.`);
  }
}

/** The launcher, the hello-world program and libcoracle.so. Without them everything but starting containers works. */
function buildCore() {
  if (process.platform !== 'linux') {
    console.error(
      `Containers need Linux; on ${process.platform} the native core is left out. ` +
        'Types, coracle/inspect and ts-inspect --input work here.',
    );
    return;
  }
  const compiler = process.env['CC'] ?? 'gcc';
  const missing = [compiler, 'make'].filter(tool => !isOnPath(tool));
  if (missing.length === 0 && !hasHeaders(compiler)) missing.push('the headers of libc and of the kernel');
  if (missing.length > 0) {
    stop(
      `Coracle's core is built with gcc and make; missing: ${missing.join(', ')}. ` +
        'On Debian: apt-get install gcc make libc6-dev linux-libc-dev',
    );
  }
  const make = spawnSync('make', ['--silent', '-C', join(root, 'native'), `CC=${compiler}`, 'all'], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  if (make.status !== 0) stop("Coracle's core did not build: the compiler's message is above.");
}

function isOnPath(tool) {
  if (tool.includes('/')) return isExecutable(tool);
  return (process.env['PATH'] ?? '').split(delimiter).some(folder => isExecutable(join(folder, tool)));
}

function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function hasHeaders(compiler) {
  const probe = '#include <stddef.h>\n#include <errno.h>\n#include <linux/mount.h>\n';
  return spawnSync(compiler, ['-E', '-x', 'c', '-'], {input: probe}).status === 0;
}

/**
 * The JavaScript: ours and the small libraries it uses in one file per door, since each package that Node has to find
 * and open by itself costs start-up time. koffi stays outside: it brings a native file per platform.
 */
async function buildBundles() {
  const {build} = await import('esbuild');
  const {builtFilters} = await import('./build-filters.mjs');
  const define = {CORACLE_BUILT_FILTERS: JSON.stringify(await builtFilters(build, root))};
  const shared = {
    define,
    absWorkingDir: root,
    outdir: 'dist',
    bundle: true,
    platform: 'node',
    target: 'node20.19',
    external: ['koffi', '@koromix/*'],
    legalComments: 'none', // Their licences are whole in THIRD-PARTY-LICENSES.
    metafile: true,
    write: false,
    logLevel: 'warning',
  };
  const bundled = await Promise.all([
    build({
      ...shared,
      entryPoints: modules,
      plugins: [builtinsOnUse()],
      format: 'esm',
      splitting: true,
      charset: 'utf8',
    }),
    build({
      ...shared,
      entryPoints: {
        ...programs,
        ...Object.fromEntries(parts.map(({name, entry}) => [name, entry])),
      },
      plugins: [partsApart()],
      format: 'cjs',
      outExtension: {'.js': '.cjs'},
      supported: {'dynamic-import': false}, // require() takes its place
      charset: 'ascii', // bin/start.cjs reads them as such: a string of one byte per character
      minifyWhitespace: true,
      minifySyntax: true,
      minifyIdentifiers: true,
      sourcemap: 'external', // bin/start.cjs reads it when a stack is printed
      sourcesContent: false,
      define: {...define, 'import.meta.url': 'fileUrl'},
      banner: {js: FILE_URL},
    }),
    build({
      ...shared,
      entryPoints: agents,
      plugins: [withoutWhatIsNotCalled()],
      format: 'cjs',
      outExtension: {'.js': '.cjs'},
      define: {...define, 'import.meta.url': 'fileUrl'},
      banner: {js: FILE_URL},
    }),
  ]);
  const outputFiles = bundled.flatMap(({outputFiles}) => outputFiles);
  const inputs = Object.assign({}, ...bundled.map(({metafile}) => metafile.inputs));
  const {thirdPartyLicences} = await import('./third-party-licences.mjs');
  const dist = join(root, 'dist');
  mkdirSync(dist, {recursive: true});
  const {asProgram, asProgramMap, writeCodeCache} = await import('./code-cache.mjs');
  const written = new Set();
  const write = (name, contents) => {
    replaceFile(join(dist, name), contents);
    written.add(name);
  };
  const programFiles = [];
  for (const {path, text} of outputFiles) {
    const name = basename(path);
    if (name.endsWith('.js')) {
      write(name, withRequire(text));
      continue;
    }
    if (name === 'sidecar-agent.cjs') {
      write(name, text);
      continue;
    }
    if (name.endsWith('.map')) {
      write(name, asProgramMap(text));
      continue;
    }
    write(name, asProgram(text));
    programFiles.push(path);
  }
  for (const path of programFiles) {
    const cache = writeCodeCache(path);
    if (cache !== undefined) written.add(basename(cache));
  }
  replaceFile(join(dist, 'THIRD-PARTY-LICENSES'), thirdPartyLicences(root, {inputs}));
  // What an earlier build left goes last, so that a program starting meanwhile still finds its own.
  for (const name of readdirSync(dist)) {
    if (/\.(?:c?js|map|cache)$/.test(name) && !written.has(name)) rmSync(join(dist, name));
  }
}

/** Modules of ours do nothing when they are loaded but define what others call. */
function withoutWhatIsNotCalled() {
  return {
    name: 'without-what-is-not-called',
    setup: build =>
      build.onResolve({filter: /^\./}, async ({path, pluginData, ...where}) => {
        if (pluginData === 'resolved') return undefined;
        const resolved = await build.resolve(path, {...where, pluginData: 'resolved'});
        return resolved.path.startsWith(join(root, 'src')) ? {...resolved, sideEffects: false} : resolved;
      }),
  };
}

/**
 * A module of Node's that is imported becomes an object whose names are looked up at each use (esbuild writes
 * `crypto.createHash()`), the first of which loads it: for an import statement Node loads it whole, and asks for each of its
 * exports, some of which load others.
 */
function builtinsOnUse() {
  return {
    name: 'builtins-on-use',
    setup: build => {
      build.onResolve({filter: /^node:/}, ({path, kind}) =>
        kind === 'import-statement' ? {path, namespace: 'builtins-on-use'} : undefined,
      );
      build.onLoad({filter: /./, namespace: 'builtins-on-use'}, ({path}) => {
        const builtin = `process.getBuiltinModule(${JSON.stringify(path)})`;
        const names = LOADED_ON_USE.has(path)
          ? `new Proxy({}, {get: (_, name) => ${builtin}[name]})`
          : builtin;
        return {contents: `module.exports = Object.create(${names});`, loader: 'js'}; // its prototype, which esbuild keeps
      });
    },
  };
}

/** `await import(…)` of a part asks bin/start.cjs for its file. */
function partsApart() {
  return {
    name: 'parts-apart',
    setup: build =>
      build.onResolve({filter: /./}, ({path, kind, importer}) => {
        if (kind !== 'dynamic-import') return undefined;
        const part = parts.find(
          ({imported, by}) => imported === path && (by ?? basename(importer)) === basename(importer),
        );
        return part && {path: `./${part.name}.cjs`, external: true};
      }),
  };
}

/**
 * Bundled CommonJS libraries call require() for Node's own modules; esbuild's stand-in looks for a global one, which a
 * module has to make itself. Only the file that holds the stand-in gets it: dist/inspect.js stays free of Node.
 */
function withRequire(text) {
  if (!text.includes('typeof require !== "undefined"')) return text;
  return `import {createRequire as nodeCreateRequire} from 'node:module';\nconst require = nodeCreateRequire(import.meta.url);\n${text}`;
}

/** In one step, so that a program that starts meanwhile reads the old file or the new one, never half of it. */
function replaceFile(path, contents) {
  writeFileSync(`${path}.new`, contents);
  renameSync(`${path}.new`, path);
}

function stop(message) {
  console.error(message);
  process.exit(1);
}
