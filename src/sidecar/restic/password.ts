import {CoracleError} from '../../errors.js';
import type {KeySource} from '../layout/chunk-store.js';
import {readSecret} from '../layout/key-source.js';

/** What was given, or what restic itself would take. @throws `ERR_REPOSITORY_KEY` when there is none */
export async function passwordOf(key: KeySource | undefined, signal?: AbortSignal): Promise<Buffer> {
  const source = key ?? sourceOf(process.env);
  if (source !== undefined) return readSecret(source, signal);
  throw new CoracleError('ERR_REPOSITORY_KEY', 'a repository of restic has a password, and none is given', {
    hint: 'Give it by --key-file, --key-command or RESTIC_PASSWORD.',
  });
}

function sourceOf(env: NodeJS.ProcessEnv): KeySource | undefined {
  const {RESTIC_PASSWORD, RESTIC_PASSWORD_FILE, RESTIC_PASSWORD_COMMAND} = env;
  if (RESTIC_PASSWORD_FILE) return {file: RESTIC_PASSWORD_FILE};
  if (RESTIC_PASSWORD_COMMAND) return {command: ['/bin/sh', '-c', RESTIC_PASSWORD_COMMAND]};
  return RESTIC_PASSWORD ? {environment: 'RESTIC_PASSWORD'} : undefined;
}
