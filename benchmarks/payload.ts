/**
 * What every contender runs: a static program without libc that exits with 0 at once, so that nothing but the start is
 * measured. Built here with gcc; `rootfs/` holds it alone.
 */
import {execFileSync} from 'node:child_process';
import {mkdirSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';

export interface Payload {
  /** A directory with nothing but `true`. */
  readonly rootfs: string;
  /** `rootfs/true` */
  readonly program: string;
  /** The same directory as an archive. */
  readonly tar: string;
}

const EXIT_0: Partial<Record<NodeJS.Architecture, string>> = {
  x64: 'mov $60, %eax; xor %edi, %edi; syscall',
  arm64: 'mov x8, #93; mov x0, #0; svc #0',
};

export function buildPayload(folder: string): Payload {
  const assembly = EXIT_0[process.arch];
  if (assembly === undefined) throw new Error(`no payload for ${process.arch}`);
  const rootfs = join(folder, 'rootfs');
  const program = join(rootfs, 'true');
  const tar = join(folder, 'rootfs.tar');
  mkdirSync(rootfs, {recursive: true});
  const source = join(folder, 'true.c');
  writeFileSync(source, `void _start(void) { __asm__ volatile("${assembly}"); }\n`);
  execFileSync('gcc', ['-nostdlib', '-static', '-Os', '-s', '-o', program, source]);
  execFileSync('tar', ['-C', rootfs, '-cf', tar, 'true']);
  return {rootfs, program, tar};
}
