/**
 * What every contender runs: a static program without libc that exits with 0 at once, so that nothing but the start is
 * measured. Built here with gcc; beside it in `rootfs/` is only one that waits, for what is measured in a running container.
 */
import {execFileSync} from 'node:child_process';
import {mkdirSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';

export interface Payload {
  /** A directory with nothing but `true` and `wait`. */
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
/** ppoll(2) of nothing, for ever. */
const WAIT: Partial<Record<NodeJS.Architecture, string>> = {
  x64: '1: mov $271, %eax; xor %edi, %edi; xor %esi, %esi; xor %edx, %edx; xor %r10d, %r10d; syscall; jmp 1b',
  arm64: '1: mov x8, #73; mov x0, #0; mov x1, #0; mov x2, #0; mov x3, #0; svc #0; b 1b',
};

export function buildPayload(folder: string): Payload {
  const rootfs = join(folder, 'rootfs');
  const program = join(rootfs, 'true');
  const tar = join(folder, 'rootfs.tar');
  mkdirSync(rootfs, {recursive: true});
  assemble(folder, program, EXIT_0[process.arch]);
  assemble(folder, join(rootfs, 'wait'), WAIT[process.arch]);
  execFileSync('tar', ['-C', rootfs, '-cf', tar, 'true', 'wait']);
  return {rootfs, program, tar};
}

function assemble(folder: string, program: string, assembly: string | undefined): void {
  if (assembly === undefined) throw new Error(`no payload for ${process.arch}`);
  const source = join(folder, 'program.c');
  writeFileSync(source, `void _start(void) { __asm__ volatile("${assembly}"); }\n`);
  execFileSync('gcc', ['-nostdlib', '-static', '-Os', '-s', '-o', program, source]);
}
