/** The variables that restic gets in its sidecar: by a file that only it reads, since those of a container can be inspected. Pure. */
import {CoracleError} from '../../errors.js';

/** Credentials of targets, and how restic works: of this process's environment, by name. */
const PASSED =
  /^(AWS|B2|AZURE|OS|ST)_\w+$|^RESTIC_(REST_USERNAME|REST_PASSWORD|COMPRESSION|PACK_SIZE)$|^(https?|no)_proxy$/i;

export function passedVariables(env: NodeJS.ProcessEnv): Record<string, string> {
  return Object.fromEntries(
    Object.entries(env).filter(
      (entry): entry is [string, string] => PASSED.test(entry[0]) && entry[1] !== undefined,
    ),
  );
}

/** For `.` of sh(1). @throws `ERR_REPOSITORY_KEY` for a password that no variable can hold */
export function environmentFile(variables: Readonly<Record<string, string>>, password: Buffer): Buffer {
  if (password.includes(0)) {
    throw new CoracleError(
      'ERR_REPOSITORY_KEY',
      'the password has a NUL byte, which restic takes from nowhere',
    );
  }
  const lines = Object.entries(variables).map(([name, value]) => Buffer.from(`${name}=${quote(value)}\n`));
  return Buffer.concat([
    ...lines,
    Buffer.from(`RESTIC_PASSWORD=${quote(password.toString('latin1'))}\n`, 'latin1'),
  ]);
}

function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
