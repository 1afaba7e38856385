import {createHash} from 'node:crypto';
import {existsSync, readdirSync, readFileSync} from 'node:fs';
import {join} from 'node:path';

interface Entry {
  readonly digest: string;
  readonly annotations: Readonly<Record<string, string>>;
}

interface ImageRecord {
  readonly id: string;
  readonly manifest: string;
  readonly blobs: readonly string[];
  readonly diffIds: readonly string[];
}

/** Of the store of an earlier release. */
const EARLIER_BASE = 'base-1';

/** What is not as it should be in a store that nobody works on: images that are not whole, and what belongs to none. */
export function storeProblems(root: string): string[] {
  const problems: string[] = [];
  const index = join(root, 'index.json');
  const {manifests}: {manifests: Entry[]} = existsSync(index)
    ? JSON.parse(readFileSync(index, 'utf8'))
    : {manifests: []};
  const ids = new Set(manifests.map(({annotations}) => annotations['coracle.image.id']!));
  const expected = {
    images: new Set<string>(),
    layers: new Set(['base-2']),
    'blobs/sha256': new Set<string>(),
  };
  for (const id of ids) {
    expected.images.add(`${hexOf(id)}.json`);
    const path = join(root, 'images', `${hexOf(id)}.json`);
    if (!existsSync(path)) {
      problems.push(`no record of ${id}`);
      continue;
    }
    const record: ImageRecord = JSON.parse(readFileSync(path, 'utf8'));
    for (const blob of record.blobs) expected['blobs/sha256'].add(hexOf(blob));
    for (const diffId of record.diffIds) expected.layers.add(hexOf(diffId));
  }
  for (const {diffId, blob} of rememberedLayers(join(root, 'build'))) {
    expected.layers.add(hexOf(diffId));
    expected['blobs/sha256'].add(hexOf(blob));
  }
  for (const [directory, names] of Object.entries(expected)) {
    const present = new Set(readdirSync(join(root, directory)));
    for (const name of names) if (!present.has(name)) problems.push(`missing: ${directory}/${name}`);
    for (const name of present)
      if (!names.has(name) && name !== EARLIER_BASE) problems.push(`belongs to nobody: ${directory}/${name}`);
  }
  for (const name of readdirSync(join(root, 'blobs/sha256'))) {
    const hex = createHash('sha256')
      .update(readFileSync(join(root, 'blobs/sha256', name)))
      .digest('hex');
    if (hex !== name) problems.push(`the blob ${name} has another content`);
  }
  for (const name of readdirSync(join(root, 'layers'))) {
    if (name === 'base-2' || name === EARLIER_BASE) continue;
    for (const part of ['fs', 'bytes'])
      if (!existsSync(join(root, 'layers', name, part))) problems.push(`no ${part} of the layer ${name}`);
  }
  for (const name of readdirSync(join(root, 'work'))) problems.push(`left in work: ${name}`);
  return problems;
}

/** Of steps of builds. */
function rememberedLayers(records: string): {readonly diffId: string; readonly blob: string}[] {
  if (!existsSync(records)) return [];
  return readdirSync(records).flatMap(name => {
    const {layer} = JSON.parse(readFileSync(join(records, name), 'utf8'));
    return layer ?? [];
  });
}

function hexOf(digest: string): string {
  return digest.slice('sha256:'.length);
}
