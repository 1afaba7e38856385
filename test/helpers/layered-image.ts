import {createHash} from 'node:crypto';
import {Readable} from 'node:stream';
import {Image, type Runtime} from '../../src/index.js';
import {TAR_END, type TarNode, tarHeader, tarPadding} from '../../src/store/write-tar.js';

/** One entry of a layer. */
export interface LayerEntry extends Omit<TarNode, 'size' | 'type'> {
  /** @default 'file', or 'symlink' with a target */
  readonly type?: TarNode['type'];
  readonly content?: string | Buffer;
}

/**
 * An image as `docker save` writes them, loaded.
 * @param config what `docker inspect` calls Config: `{Cmd, User, WorkingDir, …}`
 */
export async function loadLayered(
  runtime: Runtime,
  name: string,
  layers: readonly (readonly LayerEntry[])[],
  config: Readonly<Record<string, unknown>> = {},
): Promise<Image> {
  const tars = layers.map(tarOf);
  const document = {
    architecture: process.arch === 'x64' ? 'amd64' : 'arm64',
    os: 'linux',
    config,
    rootfs: {type: 'layers', diff_ids: tars.map(tar => `sha256:${sha256(tar)}`)},
    history: tars.map((_, index) => ({created_by: `layer ${index}`})),
  };
  const names = tars.map((_, index) => `${index}/layer.tar`);
  const manifest = [{Config: 'config.json', RepoTags: [`${name}:latest`], Layers: names}];
  const archive = tarOf([
    {path: 'manifest.json', content: JSON.stringify(manifest)},
    {path: 'config.json', content: JSON.stringify(document)},
    ...tars.map((content, index) => ({path: names[index]!, content})),
  ]);
  const [image] = await Image.load(Readable.from([archive]), {}, {runtime});
  return image!;
}

function tarOf(entries: readonly LayerEntry[]): Buffer {
  const parts = entries.flatMap(({type, content = '', ...node}) => {
    const bytes = Buffer.from(content as string);
    const kind = type ?? (node.target === undefined ? 'file' : 'symlink');
    return [tarHeader({...node, type: kind, size: bytes.length}), bytes, tarPadding(bytes.length)];
  });
  return Buffer.concat([...parts, TAR_END]);
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
