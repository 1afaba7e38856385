import {writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {Runtime} from '../../src/index.js';

/** A runtime with a store of its own below the folder, and a configuration file that says this. The caller closes it. */
export async function configuredRuntime(
  folder: string,
  name: string,
  configuration: object = {},
): Promise<Runtime> {
  const file = join(folder, `${name}.json`);
  writeFileSync(file, JSON.stringify(configuration));
  process.env['CORACLE_CONFIG'] = file;
  try {
    return await Runtime.open({root: join(folder, name), run: join(folder, `${name}-run`), waiting: 0});
  } finally {
    delete process.env['CORACLE_CONFIG'];
  }
}
