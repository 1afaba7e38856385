/* resolver.c: the process that resolves names for one container, and nothing else: no privileges, the networks' names as its root
 * directory, a handful of system calls. */
#include "resolve.h"
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>

/* It gets no more memory than it has, makes no files and no processes. */
static int limit_resources(void)
{
        static const struct { int resource; uint64_t most; } limits[] = {
                {RLIMIT_NOFILE, DESCRIPTORS_MAX}, {RLIMIT_NPROC, 0}, {RLIMIT_FSIZE, 0}, {RLIMIT_CORE, 0}, {RLIMIT_MEMLOCK, 0}, {RLIMIT_STACK, 262144},
        };
        for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
                struct rlimit64 limit = {limits[i].most, limits[i].most};
                long r = sys4(__NR_prlimit64, 0, limits[i].resource, &limit, 0);
                if (r < 0)
                        return (int)r;
        }
        return 0;
}

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#else
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#endif

/* All that it may ask the kernel for. Anything else ends it. */
static int confine(void)
{
        static const uint16_t calls[] = {
                __NR_ppoll, __NR_recvfrom, __NR_sendto, __NR_clock_gettime, __NR_close, __NR_connect, __NR_accept4, __NR_getrandom,
                __NR_openat2, __NR_getdents64, __NR_lseek, __NR_readlinkat, __NR_exit_group, __NR_restart_syscall,
        };
        enum { CALLS = sizeof calls / sizeof *calls, LENGTH = CALLS + 11 };
        const struct sock_filter kill = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS), allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
        struct sock_filter filter[LENGTH];
        uint32_t at = 0;
        filter[at++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch));
        filter[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0);
        filter[at++] = kill;
        filter[at++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
        for (uint32_t i = 0; i < CALLS; i++)
                filter[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, calls[i], (uint8_t)(CALLS - i + 4), 0);
        filter[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_socket, 0, 3);
        filter[at++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args));
        filter[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_INET_, 2, 0);
        filter[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_INET6_, 1, 0);
        filter[at++] = kill;
        filter[at++] = allow;
        struct sock_fprog program = {(unsigned short)at, filter};
        return (int)sys5(__NR_prctl, PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0);
}

int start_resolver(struct run *run, const struct ct_step *step)
{
        int pair = slot_fd(run, step->at), networks = slot_fd(run, (int64_t)step->x), own = slot_fd(run, (int64_t)step->y);
        int sockets[CT_PASSED_MAX], count;
        char none;
        if (pair < 0 || networks < 0 || own < 0 || run->pidfd < 0)
                return -EBADF;
        if (step->n1 != sizeof wanted)
                return -EINVAL;
        long n = receive_message(pair, &none, 1, sockets, &count, MSG_DONTWAIT_);
        if (n < 0)
                return (int)n;
        if (count != 2) {
                for (int i = 0; i < count; i++)
                        close_fd(sockets[i]);
                return -EPROTO;
        }
        __builtin_memcpy(&wanted, step_s1(run, step), sizeof wanted);
        const int needed[] = {run->pidfd, networks, own, sockets[0], sockets[1]};
        long pid = wanted.servers > SERVERS_MAX ? -EINVAL : fork_beside(&run->progress->beside[CT_RESOLVER], "coracle-dns", needed, 5, networks);
        if (pid != 0) {
                close_fd(sockets[0]);
                close_fd(sockets[1]);
                return pid < 0 ? (int)pid : 0;
        }
        names = (struct names){networks, own};
        begin_serving(sockets[0], sockets[1]);
        send_at_once(sockets[1]);
        if (limit_resources() < 0 || confine() < 0)
                quit(111);
        while (serve(run->pidfd))
                ;
        quit(0);
}
