import {readdirSync, readFileSync} from 'node:fs';
import {join} from 'node:path';

/** The licences of every package whose code esbuild put into the bundles, as one text; throws if one has none. */
export function thirdPartyLicences(root, metafile) {
  const folders = new Set();
  for (const input of Object.keys(metafile.inputs)) {
    const [folder] = /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(input) ?? [];
    if (folder !== undefined) folders.add(folder);
  }
  return [...folders]
    .sort()
    .map(folder => {
      const {name, version, license} = JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8'));
      const file = readdirSync(join(root, folder)).find(entry => /^(licen[cs]e|copying)\b/i.test(entry));
      if (file === undefined) throw new Error(`${folder} has no licence file to ship`);
      const text = readFileSync(join(root, folder, file), 'utf8').trim();
      return `${name} ${version} (${license})\n\n${text}\n`;
    })
    .join(`\n${'-'.repeat(80)}\n\n`);
}
