import {readFile} from 'node:fs/promises';
import test from 'ava';
import {DOCKER_CAPABILITIES} from '../../src/sdk/capabilities.js';
import {compileSeccomp, DOCKER_PROFILE} from '../../src/sdk/seccomp/index.js';

for (const architecture of ['x64', 'arm64'] as const) {
  for (const file of ['index.js', 'cli.cjs']) {
    test(`dist/${file} holds what the compiler makes of the default profile on ${architecture}`, async t => {
      const capabilities = new Set<string>(DOCKER_CAPABILITIES);
      const program = compileSeccomp(DOCKER_PROFILE, {architecture, capabilities, kernel: [6, 1]});
      t.true((await withChunks(file)).includes(Buffer.from(program).toString('base64')));
    });
  }
}

/** A bundle, and what it shares with others of its kind. */
async function withChunks(file: string): Promise<string> {
  const text = await readFile(new URL(`../../dist/${file}`, import.meta.url), 'latin1');
  const chunks = [...text.matchAll(/["']\.\/(chunk-\w+\.js)["']/g)].map(([, name]) => withChunks(name!));
  return [text, ...(await Promise.all(chunks))].join('\n');
}
