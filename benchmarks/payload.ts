/**
 * What every contender runs: a static program without libc that exits with 0 at once, so that nothing but the start is
 * measured. Built here with gcc; beside it in `rootfs/` are one that waits, for what is measured in a running container, and
 * one that writes lines as fast as they are taken.
 */
import {execFileSync} from 'node:child_process';
import {mkdirSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';

export interface Payload {
  /** A directory with nothing but `true`, `wait` and `pour`. */
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

/** What `pour` writes: lines of 100 bytes. */
export const POURED = {lines: 1_280_000, bytes: 128_000_000};

const POUR = `
static long call(long number, long a, long b, long c)
{
#ifdef __x86_64__
        long r;
        __asm__ volatile("syscall" : "=a"(r) : "a"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
        return r;
#else
        register long x8 __asm__("x8") = number, x0 __asm__("x0") = a, x1 __asm__("x1") = b, x2 __asm__("x2") = c;
        __asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2) : "memory");
        return x0;
#endif
}
#ifdef __x86_64__
enum { WRITE = 1, EXIT = 60 };
#else
enum { WRITE = 64, EXIT = 93 };
#endif
static char lines[64000];
void _start(void)
{
        for (int i = 0; i < (int)sizeof lines; i++)
                lines[i] = i % 100 == 99 ? '\\n' : 'x';
        for (int block = 0; block < ${POURED.bytes / 64_000}; block++)
                for (long at = 0; at < (long)sizeof lines;) {
                        long n = call(WRITE, 1, (long)(lines + at), (long)sizeof lines - at);
                        if (n <= 0)
                                call(EXIT, 1, 0, 0);
                        at += n;
                }
        call(EXIT, 0, 0, 0);
}
`;

export function buildPayload(folder: string): Payload {
  const rootfs = join(folder, 'rootfs');
  const program = join(rootfs, 'true');
  const tar = join(folder, 'rootfs.tar');
  mkdirSync(rootfs, {recursive: true});
  assemble(folder, program, EXIT_0[process.arch]);
  assemble(folder, join(rootfs, 'wait'), WAIT[process.arch]);
  compile(folder, join(rootfs, 'pour'), POUR);
  execFileSync('tar', ['-C', rootfs, '-cf', tar, 'true', 'wait', 'pour']);
  return {rootfs, program, tar};
}

function assemble(folder: string, program: string, assembly: string | undefined): void {
  if (assembly === undefined) throw new Error(`no payload for ${process.arch}`);
  compile(folder, program, `void _start(void) { __asm__ volatile("${assembly}"); }\n`);
}

function compile(folder: string, program: string, text: string): void {
  const source = join(folder, 'program.c');
  writeFileSync(source, text);
  execFileSync('gcc', ['-nostdlib', '-static', '-Os', '-s', '-ffreestanding', '-o', program, source]);
}
