import {mkdtempSync} from 'node:fs';
import {rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import type {ExecutionContext} from 'ava';

/** The environment of a command that keeps its containers in a folder of the test's own, removed when the test ends. */
export function ownRoot(t: ExecutionContext): NodeJS.ProcessEnv {
  const folder = mkdtempSync(join(tmpdir(), 'coracle-test-'));
  t.teardown(() => rm(folder, {recursive: true, force: true}));
  return {...process.env, CORACLE_ROOT: join(folder, 'root'), CORACLE_RUN: join(folder, 'run')};
}
