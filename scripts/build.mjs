// Builds what the package runs on: the native core (native/build/, with gcc and make alone) and the JavaScript
// bundles (dist/). `npm ci` runs it as `prepare`; `npm run build` repeats it. `--core` or `--js` builds that part alone.
import {spawnSync} from 'node:child_process';
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import {delimiter, dirname, join} from 'node:path';
import {fileURLToPath} from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** What becomes a file of its own in dist/; code that two of them share goes into chunks beside them. */
const entries = {
  index: 'src/index.ts',
  inspect: 'src/inspect/index.ts',
  cli: 'src/cli/main.ts',
  'ts-inspect': 'src/cli/ts-inspect.ts',
};

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
  const present = Object.fromEntries(
    Object.entries(entries).filter(([name, source]) => {
      if (existsSync(join(root, source))) return true;
      console.error(`dist/${name}.js is left out: ${source} does not exist.`);
      return false;
    }),
  );
  const {build} = await import('esbuild');
  const {outputFiles, metafile} = await build({
    absWorkingDir: root,
    entryPoints: present,
    outdir: 'dist',
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20.19',
    charset: 'utf8',
    external: ['koffi', '@koromix/*'],
    legalComments: 'none', // Their licences are whole in THIRD-PARTY-LICENSES.
    metafile: true,
    write: false,
    logLevel: 'warning',
  });
  const {thirdPartyLicences} = await import('./third-party-licences.mjs');
  const dist = join(root, 'dist');
  mkdirSync(dist, {recursive: true});
  for (const {path, text} of outputFiles) replaceFile(path, withRequire(text));
  replaceFile(join(dist, 'THIRD-PARTY-LICENSES'), thirdPartyLicences(root, metafile));
  // Chunks of an earlier build go last, so that a program starting meanwhile still finds its own.
  const written = new Set(outputFiles.map(({path}) => path));
  for (const name of readdirSync(dist)) {
    if (name.endsWith('.js') && !written.has(join(dist, name))) rmSync(join(dist, name));
  }
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
