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

/** Of a call: `--repo` or `CORACLE_REPO`, and its key. @throws UsageError */
export function repositoryOf(
  call: Call,
  {env}: Pick<Context, 'env'>,
): {readonly repository: string; readonly key?: KeySource} {
  const repository = call.value('repo') ?? env['CORACLE_REPO'];
  if (!repository) throw new UsageError('which repository? Say --repo REPO, or set CORACLE_REPO', 1);
  return {repository, ...keyOf(call, {env})};
}

/** As `repositoryOf`, for what takes a key. @throws UsageError */
export function openedRepositoryOf(
  call: Call,
  context: Pick<Context, 'env'>,
): {readonly repository: string; readonly key: KeySource} {
  const {repository, key} = repositoryOf(call, context);
  if (key !== undefined) return {repository, key};
  throw new UsageError('which key opens it? Say --key-file or --key-command, or set CORACLE_REPO_KEY', 1);
}

/** What `--key-file` or `--key-command` say, else `CORACLE_REPO_KEY`, `…_FILE` or `…_COMMAND`. @throws UsageError */
export function keyOf(call: Call, {env}: Pick<Context, 'env'>): {readonly key?: KeySource} {
  const flags = ['key-file', 'key-command'] as const;
  const said = keySource(`--${flags.join(' and --')}`, call.value(flags[0]), call.value(flags[1]));
  if (said !== undefined) return {key: said};
  const [name, inFile, byCommand] = ['CORACLE_REPO_KEY', 'CORACLE_REPO_KEY_FILE', 'CORACLE_REPO_KEY_COMMAND'];
  const elsewhere = keySource(
    `${inFile} and ${byCommand}`,
    env[inFile] || undefined,
    env[byCommand] || undefined,
  );
  if (!env[name]) return elsewhere === undefined ? {} : {key: elsewhere};
  if (elsewhere !== undefined) throw onlyOne(`${name}, ${inFile} and ${byCommand}`);
  return {key: {environment: name}};
}

/** @param names as an error calls them */
export function keySource(
  names: string,
  file: string | undefined,
  command: string | undefined,
): KeySource | undefined {
  if (file !== undefined && command !== undefined) throw onlyOne(names);
  if (file !== undefined) return {file};
  return command === undefined ? undefined : {command: ['sh', '-c', command]};
}

function onlyOne(names: string): UsageError {
  return new UsageError(`${names}: one of them, not several`, 1);
}
