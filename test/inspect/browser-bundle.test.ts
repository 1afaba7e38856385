import {fileURLToPath} from 'node:url';
import {gzipSync} from 'node:zlib';
import test from 'ava';
import {build} from 'esbuild';

test('bundled for a browser the engine is at most 40 kB compressed, and imports nothing', async t => {
  const {outputFiles, metafile} = await build({
    entryPoints: [fileURLToPath(new URL('../../src/inspect/index.ts', import.meta.url))],
    bundle: true,
    minify: true,
    format: 'esm',
    platform: 'browser', // an import of Node's is an error then
    metafile: true,
    write: false,
  });
  t.is(outputFiles.length, 1);
  t.deepEqual(
    Object.values(metafile.outputs).flatMap(({imports}) => imports),
    [],
  );
  t.true(Object.keys(metafile.inputs).every(path => path.includes('src/inspect/')));
  const size = gzipSync(outputFiles[0]!.contents, {level: 9}).length;
  t.true(size <= 40_000, `${size} bytes`);
});
