/** Below Linux 6.7 layers travel in one mount option, as short links: docs/kernels.md. */
import {execFileSync} from 'node:child_process';
import {createHash} from 'node:crypto';
import {Image} from '../../src/index.js';
import {ownRuntime} from '../helpers/own-runtime.js';
import {asRoot} from '../helpers/requires.js';
import {inChunks, tar} from '../store/archives.js';

const own = ownRuntime();
const LAYERS = 300;

asRoot('a container of an image of 300 layers has the files of each, and the topmost of several', async t => {
  const runtime = await own.runtime;
  const [shell] = runtime.store.getImage('host-shell').layers;
  const layers = [
    execFileSync('tar', ['--numeric-owner', '-c', '-C', shell!, '.'], {maxBuffer: 256 * 1024 * 1024}),
    ...Array.from({length: LAYERS - 1}, (_, index) =>
      tar({path: `layer-${index + 1}`, content: ''}, {path: 'topmost', content: `${index + 1}\n`}),
    ),
  ];
  await Image.load(inChunks(savedImage('deep:latest', layers), 65_536), {}, {runtime});
  const script = 'cat /topmost; ls -d /layer-* | wc -l; echo written >/topmost; cat /topmost';
  t.is(await own.output(script, {}, 'deep'), `${LAYERS - 1}\n${LAYERS - 1}\nwritten\n`);
  t.is(await own.output('cat /topmost', {}, 'deep'), `${LAYERS - 1}\n`);
});

/** As `docker save` writes it. */
function savedImage(reference: string, layers: readonly Buffer[]): Buffer {
  const document = JSON.stringify({
    architecture: process.arch === 'x64' ? 'amd64' : process.arch,
    os: 'linux',
    config: {Env: ['PATH=/usr/bin:/bin']},
    rootfs: {type: 'layers', diff_ids: layers.map(layer => `sha256:${sha256(layer)}`)},
  });
  const config = `${sha256(document)}.json`;
  const names = layers.map((_, index) => `${index}/layer.tar`);
  return tar(
    ...layers.map((content, index) => ({path: names[index]!, content})),
    {path: config, content: document},
    {
      path: 'manifest.json',
      content: JSON.stringify([{Config: config, RepoTags: [reference], Layers: names}]),
    },
  );
}

function sha256(bytes: string | Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
