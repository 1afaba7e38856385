import type {KeySource} from '../sidecar/index.js';
import {UsageError} from './cli-error.js';
import type {Call, Context, Flag} from './command.js';

/** Which repository, and what opens it. */
export const REPOSITORY_FLAGS: readonly Flag[] = [
  {
    name: 'repo',
    type: 'string',
    summary: 'Repository: a directory, registry://HOST/NAME, restic:REPO; also CORACLE_REPO',
  },
  {name: 'key-file', type: 'file', summary: "Read the repository's key from a file"},
  {name: 'key-command', type: 'string', summary: 'Run a shell command that prints the key'},
];

/** Of a call: `--repo` or `CORACLE_REPO`, with `--key-file`, `--key-command` or `CORACLE_REPO_KEY`. @throws UsageError */
export function repositoryOf(
  call: Call,
  {env}: Pick<Context, 'env'>,
): {readonly repository: string; readonly key?: KeySource} {
  const repository = call.value('repo') ?? env['CORACLE_REPO'];
  if (!repository) throw new UsageError('which repository? Say --repo REPO, or set CORACLE_REPO', 1);
  return {repository, ...keyOf(call, {env})};
}

export function keyOf(call: Call, {env}: Pick<Context, 'env'>): {readonly key?: KeySource} {
  const file = call.value('key-file');
  const command = call.value('key-command');
  if (file !== undefined && command !== undefined)
    throw new UsageError('--key-file and --key-command: one of them, not both', 1);
  if (file !== undefined) return {key: {file}};
  if (command !== undefined) return {key: {command: ['sh', '-c', command]}};
  return env['CORACLE_REPO_KEY'] ? {key: {environment: 'CORACLE_REPO_KEY'}} : {};
}
