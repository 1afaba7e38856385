import {isUtf8} from 'node:buffer';
import {CoracleError} from '../errors.js';

/**
 * Lines of `--env-file` and `--label-file`: `KEY=value`, taken literally, or `KEY` alone for the caller's own value.
 * Empty lines and lines that start with "#" say nothing; there is no quoting, as in Docker. UTF-8.
 * @throws CoracleError `ERR_INVALID_OPTION` with the docker client's words
 */
export function parseEnvFile(bytes: Buffer, path: string): string[] {
  refuseOtherBytes(bytes, path);
  const lines: string[] = [];
  for (const [index, raw] of bytes
    .toString()
    .replace(/^\uFEFF/, '')
    .split(/\r?\n/)
    .entries()) {
    const line = raw.trimStart();
    if (line === '' || line.startsWith('#')) continue;
    const equals = line.indexOf('=');
    const key = equals < 0 ? line.trim() : line.slice(0, equals);
    if (key === '') refuse(path, index, 'no variable name on line', line);
    if (/\s/.test(key)) refuse(path, index, `variable '${key}' contains whitespaces`, line);
    lines.push(equals < 0 ? key : line);
  }
  return lines;
}

function refuseOtherBytes(bytes: Buffer, path: string): void {
  if (isUtf8(bytes)) return;
  for (let begin = 0, index = 0; begin < bytes.length; index++) {
    const newline = bytes.indexOf(NEWLINE, begin);
    const line = bytes.subarray(begin, newline < 0 ? bytes.length : newline);
    if (!isUtf8(line))
      refuse(path, index, `invalid utf8 bytes at line ${index + 1}: [${line.join(' ')}]`, '');
    begin += line.length + 1;
  }
}

const NEWLINE = 10;

function refuse(path: string, index: number, what: string, line: string): never {
  throw new CoracleError(
    'ERR_INVALID_OPTION',
    `invalid env file (${path}): ${what}${what.endsWith('line') ? ` '${line}'` : ''}`,
    {
      hint: `Line ${index + 1}: KEY=value.`,
    },
  );
}
