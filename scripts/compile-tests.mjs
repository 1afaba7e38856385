// Tests, what they test and what they share, as JavaScript in compiled-tests/: `npm test` runs these. Loaded by hooks
// (typescript.mjs), each of two hundred processes would spend more than a second of processor time on nothing else.
import {mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync} from 'node:fs';
import {dirname, join} from 'node:path';
import {pathToFileURL} from 'node:url';
import {build} from 'esbuild';

const root = dirname(import.meta.dirname);
export const COMPILED = 'compiled-tests';
const SOURCES = ['src', 'test', 'benchmarks'];
/** What tests import as it is. */
const OTHERS = ['dist', 'bin'];

/** Whatever is named relative to a module is beside the one it was compiled of. */
const ownPlace = {
  name: 'own place',
  setup({onLoad}) {
    onLoad({filter: /\.ts$/}, ({path}) => {
      const contents = readFileSync(path, 'utf8');
      return {
        contents: contents.replaceAll('import.meta.url', JSON.stringify(pathToFileURL(path).href)),
        loader: 'ts',
      };
    });
  },
};

export async function compileTests() {
  const outdir = join(root, COMPILED);
  rmSync(outdir, {recursive: true, force: true});
  const files = SOURCES.flatMap(folder =>
    readdirSync(join(root, folder), {recursive: true, withFileTypes: true})
      .filter(entry => entry.isFile())
      .map(({parentPath, name}) => join(parentPath, name)),
  );
  await build({
    entryPoints: files.filter(file => file.endsWith('.ts') && !file.endsWith('.d.ts')),
    outdir,
    outbase: root,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    sourcemap: 'inline',
    sourcesContent: false,
    logLevel: 'warning',
    plugins: [ownPlace],
  });
  for (const name of OTHERS) symlinkSync(join(root, name), join(outdir, name));
  for (const module of files.filter(file => file.endsWith('.mjs'))) {
    const place = join(outdir, module.slice(root.length));
    mkdirSync(dirname(place), {recursive: true});
    symlinkSync(module, place);
  }
}
