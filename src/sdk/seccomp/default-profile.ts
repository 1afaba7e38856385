import type {Action, Condition, Rule, RuleFilter, SeccompProfile} from './profile.js';

/**
 * Docker's default profile, as moby 28.5 and later behave: what is not named fails with EPERM, a call that is newer
 * than every named one with ENOSYS (that part is runc's, see compile.ts). Sources: the profile in the config.json that
 * dockerd writes (test/fixtures/docker) and https://docs.docker.com/engine/security/seccomp/.
 *
 * What changed since the recorded 20.10: io_uring is out (many holes), `socket` looks at the family, memory protection
 * keys, mseal, the *xattrat calls and their like are in, and some rules follow finer capabilities.
 */
const ALLOW: Action = {kind: 'allow'};
const ENOSYS = 38;
const EPERM = 1;

// Calls that reach no further than the namespaces, credentials and limits that hold the container anyway.
const ALWAYS = `
  access chdir chmod chown chown32 creat dup dup2 dup3 faccessat faccessat2 fadvise64 fadvise64_64 fallocate fchdir
  fchmod fchmodat fchmodat2 fchown fchown32 fchownat fcntl fcntl64 fdatasync flock fstat fstat64 fstatat64 fstatfs
  fstatfs64 fsync ftruncate ftruncate64 futimesat getcwd getdents getdents64 ioctl lchown lchown32 link linkat
  listmount _llseek lseek lstat lstat64 mkdir mkdirat mknod mknodat name_to_handle_at newfstatat open openat openat2
  readlink readlinkat rename renameat renameat2 rmdir stat stat64 statfs statfs64 statmount statx symlink symlinkat
  sync sync_file_range syncfs truncate truncate64 umask unlink unlinkat utime utimensat utimensat_time64 utimes
  cachestat close close_range

  fgetxattr flistxattr fremovexattr fsetxattr getxattr getxattrat lgetxattr listxattr listxattrat llistxattr
  lremovexattr lsetxattr removexattr removexattrat setxattr setxattrat

  copy_file_range pread64 preadv preadv2 pwrite64 pwritev pwritev2 read readahead readv sendfile sendfile64 splice tee
  vmsplice write writev io_cancel io_destroy io_getevents io_pgetevents io_pgetevents_time64 io_setup io_submit

  epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old eventfd
  eventfd2 fanotify_mark inotify_add_watch inotify_init inotify_init1 inotify_rm_watch pipe pipe2 poll ppoll
  ppoll_time64 pselect6 pselect6_time64 select _newselect signalfd signalfd4 timerfd_create timerfd_gettime
  timerfd_gettime64 timerfd_settime timerfd_settime64

  brk madvise map_shadow_stack membarrier memfd_create memfd_secret mincore mlock mlock2 mlockall mmap mmap2 mprotect
  mremap mseal msync munlock munlockall munmap pkey_alloc pkey_free pkey_mprotect process_mrelease remap_file_pages

  accept accept4 bind connect getpeername getsockname getsockopt listen recv recvfrom recvmmsg recvmmsg_time64 recvmsg
  send sendmmsg sendmsg sendto setsockopt shutdown socketcall socketpair

  ipc mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedreceive_time64 mq_timedsend mq_timedsend_time64
  mq_unlink msgctl msgget msgrcv msgsnd semctl semget semop semtimedop semtimedop_time64 shmat shmctl shmdt shmget

  execve execveat exit exit_group fork vfork wait4 waitid waitpid getpgid getpgrp getpid getppid getpriority getrlimit
  getrusage getsid gettid ioprio_get ioprio_set pidfd_open pidfd_send_signal prctl prlimit64 restart_syscall
  setpgid setpriority setrlimit setsid set_tid_address times ugetrlimit uname sysinfo getcpu getrandom rseq uretprobe
  riscv_hwprobe seccomp landlock_add_rule landlock_create_ruleset landlock_restrict_self
  sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr sched_getparam sched_getscheduler
  sched_rr_get_interval sched_rr_get_interval_time64 sched_setaffinity sched_setattr sched_setparam sched_setscheduler
  sched_yield get_thread_area set_thread_area

  capget capset getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups getgroups32 getresgid getresgid32
  getresuid getresuid32 getuid getuid32 setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32 setgroups setgroups32
  setregid setregid32 setresgid setresgid32 setresuid setresuid32 setreuid setreuid32 setuid setuid32

  kill pause rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait
  rt_sigtimedwait_time64 rt_tgsigqueueinfo sigaltstack sigprocmask sigreturn tgkill tkill

  futex futex_requeue futex_time64 futex_wait futex_waitv futex_wake get_robust_list set_robust_list

  adjtimex alarm clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime clock_gettime64
  clock_nanosleep clock_nanosleep_time64 getitimer gettimeofday nanosleep setitimer time timer_create timer_delete
  timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64`;

/** Calls that a capability opens. Several name the same call: any of them opens it. */
const BY_CAPABILITY: Readonly<Record<string, string>> = {
  CAP_DAC_READ_SEARCH: 'open_by_handle_at',
  CAP_SYS_ADMIN: `bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie lsm_get_self_attr
    lsm_list_modules lsm_set_self_attr mount mount_setattr move_mount open_tree perf_event_open quotactl quotactl_fd
    setdomainname sethostname setns syslog umount umount2 unshare`,
  CAP_SYS_BOOT: 'reboot',
  CAP_SYS_CHROOT: 'chroot',
  CAP_SYS_MODULE: 'delete_module init_module finit_module',
  CAP_SYS_PACCT: 'acct',
  CAP_SYS_PTRACE: 'kcmp pidfd_getfd process_madvise process_vm_readv process_vm_writev ptrace',
  CAP_SYS_RAWIO: 'iopl ioperm',
  CAP_SYS_TIME: 'settimeofday stime clock_settime clock_settime64',
  CAP_SYS_TTY_CONFIG: 'vhangup',
  CAP_SYS_NICE: 'get_mempolicy mbind set_mempolicy set_mempolicy_home_node',
  CAP_SYSLOG: 'syslog',
  CAP_BPF: 'bpf',
  CAP_PERFMON: 'perf_event_open',
};

/**
 * Families of socket(2): all but AF_ALG (38), the kernel's cryptography with its long list of holes, and AF_VSOCK (40),
 * which reaches other machines on the same host past every network namespace; 46 is AF_MAX of linux/socket.h. Moby has
 * left out VSOCK since 23.0 and ALG since 2026. Each family above is listed, not "any greater": the kernel looks at
 * the lower 32 bits only, so 38 + 2^32 would slip through a comparison of 64 bits. On 32-bit x86 socketcall(2) stays a
 * way around, as in Docker: its arguments are in memory, where no filter looks.
 */
const AF_ALG = 38;
const SOCKET_FAMILIES: readonly Condition[] = [
  {index: 0, comparison: 'LT', value: BigInt(AF_ALG), valueTwo: 0n},
  ...[39, 41, 42, 43, 44, 45].map(family => equal(BigInt(family))),
];

/** PER_LINUX, PER_LINUX32, UNAME26 with either, and 0xffffffff, which asks for the present one: personality(2). */
const PERSONALITIES: readonly Condition[] = [0n, 0x8n, 0x2_0000n, 0x2_0008n, 0xffff_ffffn].map(equal);

/** CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET: none of them set. */
const NO_NEW_NAMESPACE: Condition = {index: 0, comparison: 'MASKED_EQ', value: 0x7e02_0000n, valueTwo: 0n};

const WITHOUT_SYS_ADMIN: RuleFilter = {capabilities: ['CAP_SYS_ADMIN']};

export const DOCKER_PROFILE: SeccompProfile = {
  defaultAction: {kind: 'errno', value: EPERM},
  architectures: [],
  archMap: [
    {architecture: 'SCMP_ARCH_X86_64', subArchitectures: ['SCMP_ARCH_X86', 'SCMP_ARCH_X32']},
    {architecture: 'SCMP_ARCH_AARCH64', subArchitectures: ['SCMP_ARCH_ARM']},
  ],
  flags: ['SECCOMP_FILTER_FLAG_SPEC_ALLOW'],
  get rules() {
    rules ??= makeRules();
    return rules;
  },
};

let rules: readonly Rule[] | undefined;

/** Made when asked for, since most starts take the filter that was compiled of them while building. */
function makeRules(): readonly Rule[] {
  return [
    allow(ALWAYS),
    // Before Linux 4.8 a traced process could get past the filter: seccomp(2), NOTES.
    allow('process_vm_readv process_vm_writev ptrace', {minKernel: [4, 8]}),
    ...SOCKET_FAMILIES.map(condition => allowIf('socket', condition)),
    ...PERSONALITIES.map(condition => allowIf('personality', condition)),
    allow('arm_fadvise64_64 arm_sync_file_range sync_file_range2 breakpoint cacheflush set_tls', {
      architectures: ['arm', 'arm64'],
    }),
    allow('arch_prctl modify_ldt', {architectures: ['amd64']}),
    ...Object.entries(BY_CAPABILITY).map(([name, calls]) => allow(calls, {capabilities: [name]})),
    {...allowIf('clone', NO_NEW_NAMESPACE), excludes: WITHOUT_SYS_ADMIN},
    // Its flags are in memory, where no filter looks; ENOSYS makes the C library fall back to clone.
    {names: ['clone3'], action: {kind: 'errno', value: ENOSYS}, conditions: [], excludes: WITHOUT_SYS_ADMIN},
  ];
}

function allow(names: string, includes?: RuleFilter): Rule {
  return {names: names.trim().split(/\s+/), action: ALLOW, conditions: [], ...(includes && {includes})};
}

function allowIf(name: string, condition: Condition): Rule {
  return {names: [name], action: ALLOW, conditions: [condition]};
}

function equal(value: bigint): Condition {
  return {index: 0, comparison: 'EQ', value, valueTwo: 0n};
}
