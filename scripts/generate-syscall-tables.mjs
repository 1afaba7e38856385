// Writes src/sdk/seccomp/syscall-tables.ts: the names of system calls and their numbers on each ABI that an x86-64 or
// an arm64 kernel serves, from the kernel's own user-space headers.
//
// Needs gcc (its preprocessor) and the Debian packages linux-libc-dev, linux-libc-dev-arm64-cross and
// linux-libc-dev-armhf-cross. Run it by hand when the headers grow: node scripts/generate-syscall-tables.mjs
import {execFileSync} from 'node:child_process';
import {writeFileSync} from 'node:fs';

const X86 = ['-isystem', '/usr/include/x86_64-linux-gnu', '-isystem', '/usr/include'];
const ABIS = {
  x86_64: ['-D__x86_64__', '-D__LP64__', ...X86],
  x86: ['-D__i386__', ...X86],
  x32: ['-D__x86_64__', '-D__ILP32__', ...X86],
  aarch64: ['-D__aarch64__', '-D__LP64__', '-isystem', '/usr/aarch64-linux-gnu/include'],
  arm: ['-D__arm__', '-D__ARM_EABI__', '-isystem', '/usr/arm-linux-gnueabihf/include'],
};

// Numbers of x32 count from here (asm/unistd.h, __X32_SYSCALL_BIT); the table is written without the bit.
const X32_BIT = 0x40000000;

// Newer than Debian 12's headers (6.1). From Linux 5.1 on, a new call has one number on every architecture.
// https://git.kernel.org/pub/scm/linux/kernel/git/torvalds/linux.git/tree/scripts/syscall.tbl
// https://git.kernel.org/pub/scm/linux/kernel/git/torvalds/linux.git/tree/arch/x86/entry/syscalls/syscall_64.tbl
const NEWER = {
  cachestat: 451, // 6.5
  fchmodat2: 452, // 6.6
  map_shadow_stack: 453, // 6.6
  futex_wake: 454, // 6.7
  futex_wait: 455, // 6.7
  futex_requeue: 456, // 6.7
  statmount: 457, // 6.8
  listmount: 458, // 6.8
  lsm_get_self_attr: 459, // 6.8
  lsm_set_self_attr: 460, // 6.8
  lsm_list_modules: 461, // 6.8
  mseal: 462, // 6.10
  setxattrat: 463, // 6.13
  getxattrat: 464, // 6.13
  listxattrat: 465, // 6.13
  removexattrat: 466, // 6.13
  open_tree_attr: 467, // 6.15
  file_getattr: 468, // 6.17
  file_setattr: 469, // 6.17
  listns: 470, // 6.19
};
const NEWER_X86_64 = {uretprobe: 335, uprobe: 336}; // 6.11, 6.18

function preprocess(flags, source) {
  const args = ['-E', '-P', '-undef', '-nostdinc', ...flags, '-x', 'c', '-'];
  return execFileSync('gcc', args, {input: source, encoding: 'utf8', maxBuffer: 1 << 24});
}

function readNumbers(abi, flags) {
  const include = '#include <asm/unistd.h>\n';
  const macros = preprocess(['-dM', ...flags], include).match(/(?<=#define )__(ARM_)?NR_\w+/g);
  // What is no call: bases, masks, counts, and the names that asm-generic/unistd.h makes others from.
  const names = macros.filter(
    macro => !/^__(ARM_)?NR_(BASE|SYSCALL|OABI|syscalls$|syscall_max|arch_specific)/.test(macro),
  );
  const values = preprocess(flags, `${include}${names.map(name => `\nVALUE "${name}" ${name}`).join('')}\n`);
  const numbers = new Map();
  for (const [, macro, value] of values.matchAll(/^VALUE "__(?:ARM_)?NR_(\w+)" ([^\n]*)$/gm)) {
    if (!/^[\s\d()+xXa-fA-F]+$/.test(value)) continue; // an alias whose target this ABI has not
    const number = value.match(/\w+/g).reduce((sum, term) => sum + Number(term), 0);
    numbers.set(macro, abi === 'x32' ? number - X32_BIT : number);
  }
  for (const [name, number] of Object.entries(NEWER)) numbers.set(name, number);
  if (abi === 'x86_64' || abi === 'x32')
    for (const [name, number] of Object.entries(NEWER_X86_64)) numbers.set(name, number);
  return [...numbers].sort(
    ([name, number], [otherName, other]) => number - other || (name < otherName ? -1 : 1),
  );
}

/** Names in order of their numbers; a number word says what the next name has, else it is one more than the last. */
function encode(numbers) {
  const words = [];
  let next = 0;
  for (const [name, number] of numbers) {
    if (number !== next) words.push(String(number));
    words.push(name);
    next = number + 1;
  }
  return words;
}

function wrap(words) {
  const lines = [''];
  for (const word of words) {
    const line = lines.at(-1);
    if (line.length + word.length + 1 > 108) lines.push(word);
    else lines[lines.length - 1] = line === '' ? word : `${line} ${word}`;
  }
  return lines.join('\n');
}

const tables = Object.entries(ABIS).map(
  ([abi, flags]) => `  ${abi}: \`\n${wrap(encode(readNumbers(abi, flags)))}\`,`,
);
writeFileSync(
  new URL('../src/sdk/seccomp/syscall-tables.ts', import.meta.url),
  `/**
 * Written by scripts/generate-syscall-tables.mjs; do not edit. System calls in the order of their numbers; a number
 * before a name says where the count goes on. The x32 numbers are without their bit 30.
 */
export const SYSCALL_TABLES = {
${tables.join('\n')}
} as const;
`,
);
