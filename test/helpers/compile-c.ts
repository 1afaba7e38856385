import {execFileSync} from 'node:child_process';
import {writeFileSync} from 'node:fs';
import {join} from 'node:path';

/** Compiles a program of one file into the folder; gcc is what the core itself needs. @returns its path */
export function compileC(folder: string, name: string, source: string, ...flags: string[]): string {
  const path = join(folder, name);
  writeFileSync(`${path}.c`, source);
  execFileSync('gcc', ['-O1', '-Wall', '-Werror', ...flags, '-o', path, `${path}.c`], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  return path;
}
