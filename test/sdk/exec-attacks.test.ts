/**
 * What a hostile container may try while a command joins it: to get hold of the process that joins, of its program or of
 * what it has open (CVE-2016-9962, CVE-2019-5736), and to send it somewhere outside (CVE-2024-21626).
 */
import {createHash} from 'node:crypto';

import {mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {coreFile} from '../../src/binding/index.js';
import {type CoracleError, Image, type RunningContainer, type RunOptions} from '../../src/index.js';
import {compileC} from '../helpers/compile-c.js';
import {ownRuntime, textOf} from '../helpers/own-runtime.js';
import {asRoot} from '../helpers/requires.js';

const own = ownRuntime();
const TOOLS = [
  'sh',
  'sleep',
  'mknod',
  'mkfifo',
  'mount',
  'umount',
  'chroot',
  'id',
  'ls',
  'rm',
  'ln',
  'mkdir',
  'head',
  'true',
];

/** With programs for tricks; it runs until it is disposed of. */
async function victim(options: RunOptions = {}): Promise<RunningContainer> {
  await Image.fromHost({name: 'tools', binaries: TOOLS}, {runtime: await own.runtime});
  return own.run({command: ['sleep', '1000'], ...options}, 'tools');
}
const ROUNDS = process.env['CORACLE_TEST_LONG'] === undefined ? 30 : 1000;

/**
 * Looks, for ever, at every process that is new: tries to open its program for writing, lists what it has open, compares
 * its rights with its own, and follows its root and working directory to a file of the host's. A line for each thing it
 * got that it should not have; `met N` once it is told to stop.
 */
const SPY = String.raw`
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
static volatile int stopped;
static unsigned long long own;
static void stop(int signal) { stopped = signal; }
static unsigned long long caps(const char *pid, const char *which) {
        char path[64], line[256];
        unsigned long long value = 0;
        snprintf(path, sizeof path, "/proc/%s/status", pid);
        FILE *file = fopen(path, "r");
        while (file && fgets(line, sizeof line, file))
                if (!strncmp(line, which, strlen(which))) value = strtoull(line + strlen(which), 0, 16);
        if (file) fclose(file);
        return value;
}
/* Between a look and the next the process may have become the container's own program. */
static int is_memfd(int fd) {
        char path[64], link[300];
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        return fd >= 0 && readlink(path, link, sizeof link) > 7 && !strncmp(link, "/memfd:", 7);
}
static void look(const char *pid, const char *canary) {
        char path[300], link[300];
        unsigned long long more = (caps(pid, "CapPrm:") | caps(pid, "CapEff:")) & ~own;
        if (more) printf("rights %llx\n", more);
        snprintf(path, sizeof path, "/proc/%s/exe", pid);
        ssize_t length = readlink(path, link, sizeof link - 1);
        int foreign = length > 0 && !strncmp(link, "/memfd:", 7); /* what is not is the container's, to do with as it likes */
        int fd = foreign ? open(path, O_WRONLY) : -1;
        if (is_memfd(fd) && pwrite(fd, "#", 1, 0) == 1) printf("wrote to its program\n");
        if (fd >= 0) close(fd);
        fd = foreign ? open(path, O_RDONLY) : -1;
        if (is_memfd(fd)) {
                for (int tries = 0; tries < 100; tries++) { /* until it is not executed any more */
                        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
                        int again = open(link, O_WRONLY);
                        if (again >= 0 && pwrite(again, "#", 1, 0) == 1) printf("wrote to its program later\n");
                        if (again >= 0) close(again);
                        usleep(100);
                }
        }
        if (fd >= 0) close(fd);
        const char *ways[] = {"root", "cwd"};
        for (int i = 0; i < 2; i++) {
                snprintf(path, sizeof path, "/proc/%s/%s%s", pid, ways[i], canary);
                if (access(path, F_OK) == 0) printf("outside by %s\n", ways[i]);
        }
        snprintf(path, sizeof path, "/proc/%s/fd", pid);
        DIR *open_files = opendir(path);
        struct dirent *entry;
        while (open_files && (entry = readdir(open_files))) {
                snprintf(path, sizeof path, "/proc/%s/fd/%s", pid, entry->d_name);
                ssize_t n = readlink(path, link, sizeof link - 1);
                if (n < 0) continue;
                link[n] = 0;
                struct stat there, here;
                char again[300];
                int known = stat(path, &there) == 0;
                int ours = known && stat(link, &here) == 0 && there.st_dev == here.st_dev && there.st_ino == here.st_ino;
                ssize_t same = readlink(path, again, sizeof again - 1);
                if (!known || same != n || strncmp(again, link, (size_t)n)) continue; /* it was closed meanwhile */
                if (!ours && strncmp(link, "pipe:", 5) && strncmp(link, "socket:", 7) && strcmp(link, "/dev/null")) printf("open %s\n", link);
                snprintf(path, sizeof path, "/proc/%s/fd/%s/..%s", pid, entry->d_name, canary);
                if (access(path, F_OK) == 0) printf("outside by %s\n", link);
        }
        if (open_files) closedir(open_files);
}
int main(int argc, char **argv) {
        char me[20], last[20] = "";
        int met = 0;
        if (argc < 2) return 1;
        signal(SIGTERM, stop);
        snprintf(me, sizeof me, "%d", getpid());
        own = caps(me, "CapBnd:");
        printf("watching\n");
        fflush(stdout);
        while (!stopped) {
                DIR *all = opendir("/proc");
                struct dirent *entry;
                while ((entry = readdir(all))) {
                        if (entry->d_name[0] < '0' || entry->d_name[0] > '9' || !strcmp(entry->d_name, me)) continue;
                        look(entry->d_name, argv[1]);
                        if (strcmp(last, entry->d_name)) met++;
                        snprintf(last, sizeof last, "%.19s", entry->d_name);
                }
                closedir(all);
        }
        printf("met %d\n", met);
        return 0;
}`;

async function startSpy(
  canary: string,
  options: RunOptions,
): Promise<{spy: RunningContainer; report: Promise<string>}> {
  const runtime = await own.runtime;
  const binaries = [compileC(own.folder, 'spy', SPY, '-static'), '/bin/true', '/bin/sh', '/bin/sleep'];
  await Image.fromHost({name: 'spy', binaries}, {runtime});
  const spy = await own.run(
    {...options, command: [join(own.folder, 'spy'), canary], stopSignal: 'SIGTERM'},
    'spy',
  );
  const {stdout} = spy;
  await new Promise(resolve => stdout!.once('readable', resolve));
  return {spy, report: textOf(stdout!)};
}

function digestOf(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}

const CONTAINERS: readonly {readonly what: string; readonly options: RunOptions}[] = [
  {what: 'that may trace', options: {capabilities: {add: ['SYS_PTRACE']}}},
  {
    what: 'that may trace, without no_new_privs',
    options: {capabilities: {add: ['SYS_PTRACE']}, noNewPrivileges: false},
  },
  {what: 'with the usual rights', options: {}},
];

for (const {what, options} of CONTAINERS) {
  asRoot.serial(
    `a container ${what} gets nothing of what joins it: no rights, files, program, way out`,
    async t => {
      const canary = mkdtempSync(join(tmpdir(), 'coracle-canary-'));
      const launcher = digestOf(coreFile('coracle-launcher'));
      const {spy, report} = await startSpy(canary, options);
      for (let round = 0; round < ROUNDS; round++) {
        const user = round % 2 === 0 ? {} : {user: '1000:1000'};
        t.is((await spy.capture(['true'], user)).exitCode, 0);
      }
      await spy.stop();
      const [first, ...lines] = (await report).trim().split('\n');
      const met = Number(/^met (\d+)$/.exec(lines.at(-1) ?? '')?.[1]);
      t.is(first, 'watching');
      t.deepEqual(lines.slice(0, -1), []);
      t.true(met > 0);
      t.is(digestOf(coreFile('coracle-launcher')), launcher);
      await spy.settled;
      rmSync(canary, {recursive: true});
    },
  );
}

asRoot.serial(
  "a program that is /proc/self/exe runs nothing of the host's, and changes nothing (CVE-2019-5736)",
  async t => {
    const launcher = digestOf(coreFile('coracle-launcher'));
    const container = await own.run({command: ['sleep', '1000']});
    const script = 'printf "#!/proc/self/exe\\n" >/evil; chmod 755 /evil; ln -s /proc/self/exe /exe';
    t.is((await container.capture(['sh', '-c', script])).exitCode, 0);
    for (const program of ['/evil', '/exe', '/proc/self/exe']) {
      const end = await container.capture([program]).catch((error: CoracleError) => error.code);
      // Our own program, with the container's rights and none of its descriptors, has nothing to do.
      if (typeof end === 'string') t.regex(end, /^ERR_COMMAND_NOT_(EXECUTABLE|FOUND)$/);
      else t.like(end, {exitCode: 111, stdout: '', stderr: ''});
    }
    t.is(digestOf(coreFile('coracle-launcher')), launcher);
    t.is((await container.capture(['echo', 'still'])).stdout, 'still\n');
    await container[Symbol.asyncDispose]();
  },
);

asRoot.serial('no working directory leads out by way of a descriptor (CVE-2024-21626)', async t => {
  const container = await own.run({command: ['sleep', '1000']});
  await container.capture([
    'sh',
    '-c',
    'for n in 3 4 5 6 7 8 9; do ln -s /proc/self/fd/$n /fd$n; done; ln -s /proc/1/root /root-of-1',
  ]);
  const places = Array.from({length: 24}, (_, fd) => `/proc/self/fd/${fd}`);
  const others = [
    '/fd3',
    '/fd7',
    '/fd9',
    '/proc/self/cwd',
    '/proc/1/cwd',
    '/root-of-1',
    '/proc/thread-self/root/..',
  ];
  for (const workdir of [...places, ...others]) {
    await t.throwsAsync(container.exec(['pwd'], {workdir}), {code: 'ERR_EXEC_FAILED'}, workdir);
  }
  t.is((await container.capture(['pwd'], {workdir: '/../../..'})).stdout, '/\n');
  await container[Symbol.asyncDispose]();
});

asRoot.serial(
  "whatever stands for /etc/passwd, it is not waited for, and nothing of the host's is read",
  async t => {
    const secret = join(own.folder, 'secret');
    writeFileSync(secret, 'thief:x:4321:4321::/:/bin/sh\n');
    const tricks = [
      'rm /etc/passwd; mkfifo /etc/passwd',
      'rm /etc/passwd; mknod /etc/passwd c 1 5',
      `ln -sf ${secret} /etc/passwd`,
      `ln -sf ../../../../../../../../..${secret} /etc/passwd`,
      `ln -sf /proc/self/root${secret} /etc/passwd`,
      'rm /etc/passwd; mkdir /etc/passwd',
      'head -c 2000000 /dev/zero >/etc/passwd',
    ];
    for (const trick of tricks) {
      const container = await victim();
      t.is((await container.capture(['sh', '-c', trick])).exitCode, 0, trick);
      t.is((await container.capture(['id', '-u'])).stdout, '0\n', trick);
      await t.throwsAsync(container.exec(['id'], {user: 'thief'}), {code: 'ERR_USER_UNKNOWN'}, trick);
      await container[Symbol.asyncDispose]();
    }
  },
);

asRoot.serial('what stands for the terminals of a container is not opened unless it is one', async t => {
  const terminal = {rows: 1, columns: 1};
  const tricks = [
    'umount -l /dev/pts; mkdir -p /dev/pts; mknod /dev/pts/ptmx c 1 5',
    'umount -l /dev/pts; ln -s /proc/self/fd/0 /dev/pts/ptmx',
    'mount --bind /dev/zero /dev/pts/ptmx',
    'umount -l /dev/pts; mkfifo /dev/pts/ptmx',
  ];
  for (const trick of tricks) {
    const container = await victim({
      capabilities: {add: ['SYS_ADMIN']},
      noNewPrivileges: false,
    });
    t.is((await container.capture(['sh', '-c', trick])).exitCode, 0, trick);
    await t.throwsAsync(
      container.exec(['true'], {terminal}),
      {code: 'ERR_EXEC_FAILED', message: /terminal/},
      trick,
    );
    t.is((await container.capture(['sh', '-c', 'echo in'])).stdout, 'in\n');
    await container[Symbol.asyncDispose]();
  }
});

const JAILED = '#include <unistd.h>\nint main(void) { return write(1, "jailed\\n", 7) + pause(); }';

asRoot.serial('a first process that changes its root changes nothing about where commands run', async t => {
  const program = compileC(own.folder, 'jailed', JAILED, '-static');
  await Image.fromHost({name: 'jail', binaries: [program, ...TOOLS]}, {runtime: await own.runtime});
  const script = `mkdir /jail; ln ${program} /jail/jailed; exec chroot /jail /jailed`;
  const container = await own.run({command: ['sh', '-c', script]}, 'jail');
  await new Promise(resolve => container.stdout!.once('data', resolve));
  t.is((await container.capture(['ls', '-d', '/jail'])).stdout, '/jail\n');
  await container[Symbol.asyncDispose]();
});
