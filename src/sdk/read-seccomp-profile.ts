import {readFile} from 'node:fs/promises';
import {CoracleError} from '../errors.js';
import type {ResolvedOptions} from './container-config.js';
import type {NormalizedOptions} from './normalize-run-options.js';

/**
 * Reads the file of `seccomp: {path}`, so that the container's record stands on its own.
 * @throws CoracleError `ERR_SECCOMP_PROFILE` when it cannot be read or is not a JSON object with a `defaultAction`
 */
export async function resolveSeccomp(options: NormalizedOptions): Promise<ResolvedOptions> {
  const {seccomp} = options;
  if (typeof seccomp === 'string' || 'defaultAction' in seccomp) {
    return {...options, seccomp: seccomp as ResolvedOptions['seccomp']};
  }
  const path = seccomp.path as string;
  const text = await readFile(path, 'utf8').catch(cause => {
    throw new CoracleError('ERR_SECCOMP_PROFILE', `opening seccomp profile (${path}) failed: ${cause.code}`, {
      cause,
    });
  });
  try {
    const profile: unknown = JSON.parse(text);
    if (typeof profile === 'object' && profile !== null && 'defaultAction' in profile) {
      return {...options, seccomp: profile as Exclude<ResolvedOptions['seccomp'], string>};
    }
  } catch (cause) {
    throw new CoracleError('ERR_SECCOMP_PROFILE', `compacting json for seccomp profile (${path}) failed`, {
      cause,
    });
  }
  throw new CoracleError('ERR_SECCOMP_PROFILE', `the seccomp profile (${path}) has no defaultAction`);
}
