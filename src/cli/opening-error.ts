import {ClientError} from './cli-error.js';

/** strerror(3), as Go's errors end. */
const WORDS: Readonly<Record<string, string>> = {
  ENOENT: 'no such file or directory',
  EACCES: 'permission denied',
  EPERM: 'operation not permitted',
  EISDIR: 'is a directory',
  ENOTDIR: 'not a directory',
  ELOOP: 'too many levels of symbolic links',
};

/** What Go calls the system calls of Node's errors; others are `open`. */
const CALLS: Readonly<Record<string, string>> = {read: 'read', unlink: 'remove'};

/** What Go says of a file that cannot be opened, read or removed: `open /nope: no such file or directory`. */
export function openingError(path: string, cause: NodeJS.ErrnoException): ClientError {
  const {code = '', message, syscall = ''} = cause;
  return new ClientError(`${CALLS[syscall] ?? 'open'} ${path}: ${WORDS[code] ?? message}`, undefined, cause);
}
