import {execFile} from 'node:child_process';
import {fileURLToPath} from 'node:url';
import {promisify} from 'node:util';
import {Image} from '../../src/index.js';
import {compileC} from '../helpers/compile-c.js';
import {ownRuntime} from '../helpers/own-runtime.js';
import {asRoot} from '../helpers/requires.js';

const own = ownRuntime();
const program = fileURLToPath(new URL('../helpers/report-inside.ts', import.meta.url));

/** What a program may have been started with; sh does it, and then becomes the program. */
const CHANGES: readonly {readonly what: string; readonly shell: string; readonly own: RegExp}[] = [
  {what: 'another umask', shell: 'umask 077', own: /^Umask:\t0077$/m},
  {what: 'a lower priority', shell: 'renice -n 7 $$ >/dev/null', own: /^nice 7$/m},
  {what: 'one processor only', shell: 'taskset -p 1 $$ >/dev/null', own: /^Cpus_allowed:\t0*1$/m},
  {
    what: 'ignored signals',
    shell: "trap '' HUP INT TERM USR1 CHLD",
    own: /^SigIgn:\t[0-9a-f]{12}[0-9a-f]*[1-9a-f][0-9a-f]*$/m,
  },
  // Node raises its own to the hard limit.
  {what: 'fewer descriptors', shell: 'ulimit -S -n 256', own: /^Max open files +(256|(\d+) +\2) /m},
  {what: 'a small stack', shell: 'ulimit -S -s 4096', own: /^Max stack size +4194304 /m},
  {what: 'core files', shell: 'ulimit -S -c unlimited', own: /^Max core file size +unlimited /m},
  {what: 'a limit of processor time', shell: 'ulimit -S -t 5000', own: /^Max cpu time +5000 /m},
  {what: 'a score for the OOM killer', shell: 'echo 500 >/proc/self/oom_score_adj', own: /^oom 500$/m},
  {what: 'open descriptors', shell: 'exec 7</etc/passwd 8>/dev/null 9</', own: /^FDSize:/m},
  {what: 'another working directory', shell: 'cd /usr/lib', own: /^FDSize:/m},
  {what: 'variables of its own', shell: 'export SECRET=hidden LD_PRELOAD= HOME=/nowhere', own: /^FDSize:/m},
];

let plain: Promise<string> | undefined;

for (const {what, shell, own: changed} of CHANGES) {
  asRoot(`${what} that Node was started with does not reach the container`, async t => {
    plain ??= report(':').then(({inside}) => inside);
    const {inside, own: outside} = await report(shell);
    t.regex(outside, changed, 'the program itself was started with it');
    t.is(comparable(inside), comparable(await plain));
  });
}

asRoot('each container has a session keyring of its own, not Node’s', async t => {
  const runtime = await own.runtime;
  const path = compileC(
    own.folder,
    'session-keyring',
    `#include <stdio.h>
     #include <sys/syscall.h>
     #include <unistd.h>
     int main(void) { printf("%ld\\n", syscall(SYS_keyctl, 0 /* GET_KEYRING_ID */, -3 /* session */, 0)); }`,
  );
  await Image.fromHost({name: 'session-keyring', binaries: [path]}, {runtime});
  const serial = async () =>
    (await (await own.run({seccomp: 'unconfined'}, 'session-keyring')).exit).lastOutput.stdout;
  const serials = [await serial(), await serial(), (await promisify(execFile)(path)).stdout];
  for (const each of serials) t.regex(each, /^[1-9]\d*\n$/);
  t.is(new Set(serials).size, 3);
});

interface Report {
  readonly inside: string;
  readonly own: string;
}

async function report(shell: string): Promise<Report> {
  await own.runtime; // makes the image
  const tsx = import.meta.resolve('tsx');
  const {stdout} = await promisify(execFile)('sh', [
    '-c',
    `${shell}; exec "$0" "$@"`,
    process.execPath,
    '--import',
    tsx,
    program,
    own.root,
    own.runDirectory,
  ]);
  return JSON.parse(stdout) as Report;
}

/** Without what differs from run to run: sizes, counts and numbers of processes. */
function comparable(inside: string): string {
  return inside
    .split('\n')
    .filter(
      line => !/^(Vm|Rss|voluntary|nonvoluntary|Hugetlb|SigQ|Pid|Tgid|NStgid|NSpid|PPid|FDSize)/.test(line),
    )
    .join('\n');
}
