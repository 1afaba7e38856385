/** Where a restic repository is: `restic:` and what `restic --repo` takes. Pure. */
import {isAbsolute, resolve} from 'node:path';
import {CoracleError} from '../../errors.js';

export interface ResticLocation {
  /** As it was named, without a password. */
  readonly url: string;
  /** For restic, in the sidecar: with whatever it was given. */
  readonly repository: string;
  /** A directory of this host's, which the sidecar has as `repository`; undefined: it is on the network. */
  readonly directory: string | undefined;
  /** ssh(1) is what reaches it. */
  readonly isSftp: boolean;
}

/** Where the sidecar has a repository that is a directory. */
export const REPOSITORY_PLACE = '/repository';

/** @throws `ERR_INVALID_OPTION` */
export function parseResticUrl(url: string): ResticLocation {
  const target = url.startsWith('restic:') ? url.slice('restic:'.length) : '';
  if (target === '') {
    throw new CoracleError(
      'ERR_INVALID_OPTION',
      `${JSON.stringify(withoutPassword(url))} names no restic repository`,
      {
        hint: 'restic:/srv/backups, restic:s3:https://HOST/BUCKET, restic:sftp:USER@HOST:/PATH, restic:rest:https://HOST/',
      },
    );
  }
  const [, scheme] = /^([a-z\d]+):/i.exec(target) ?? [];
  if (scheme !== undefined && scheme !== 'local')
    return {url: withoutPassword(url), repository: target, directory: undefined, isSftp: scheme === 'sftp'};
  const path = target.replace(/^local:/, '');
  const directory = isAbsolute(path) ? path : resolve(path);
  return {url: `restic:${directory}`, repository: REPOSITORY_PLACE, directory, isSftp: false};
}

/** `rest:https://user:secret@host/` is how restic takes it. */
function withoutPassword(url: string): string {
  return url.replace(/(:\/\/[^/@:]*):[^/]*@/, '$1@');
}
