/* syscalls.h: raw system calls for x86-64 and arm64, and the few constants newer than the headers of our oldest
 * supported distribution. Every wrapper returns what the kernel returned: a value, or -errno. No libc: the launcher
 * starts without it, and between clone and exec nothing may take a lock. */
#ifndef CT_SYSCALLS_H
#define CT_SYSCALLS_H
#include <asm/unistd.h>
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/openat2.h>
#include <linux/resource.h>
#include <linux/sched.h>
#include <linux/stat.h>
#include <linux/time.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__x86_64__)
static inline long sys6(long n, long a, long b, long c, long d, long e, long f)
{
        long r;
        register long r10 __asm__("r10") = d;
        register long r8 __asm__("r8") = e;
        register long r9 __asm__("r9") = f;
        __asm__ volatile("syscall" : "=a"(r) : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9) : "rcx", "r11", "memory");
        return r;
}
#elif defined(__aarch64__)
static inline long sys6(long n, long a, long b, long c, long d, long e, long f)
{
        register long x8 __asm__("x8") = n;
        register long x0 __asm__("x0") = a;
        register long x1 __asm__("x1") = b;
        register long x2 __asm__("x2") = c;
        register long x3 __asm__("x3") = d;
        register long x4 __asm__("x4") = e;
        register long x5 __asm__("x5") = f;
        __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory", "cc");
        return x0;
}
#else
#error "Coracle supports x86-64 and arm64"
#endif

#define SYS_ARG(v) ((long)(v))
#define sys5(n, a, b, c, d, e) sys6(n, SYS_ARG(a), SYS_ARG(b), SYS_ARG(c), SYS_ARG(d), SYS_ARG(e), 0)
#define sys4(n, a, b, c, d) sys5(n, a, b, c, d, 0)
#define sys3(n, a, b, c) sys4(n, a, b, c, 0)
#define sys2(n, a, b) sys3(n, a, b, 0)
#define sys1(n, a) sys2(n, a, 0)
#define sys0(n) sys1(n, 0)

#ifndef O_CLOEXEC
#define O_CLOEXEC 02000000
#endif

#define SIGKILL_ 9
#define SIGCHLD_ 17

/* mount_setattr(2), open_tree(2), move_mount(2), fsopen(2): stable numbers of the new mount API */
#define CT_OPEN_TREE_CLONE 1
#define CT_MOVE_MOUNT_F_EMPTY_PATH 0x4
#define CT_MOVE_MOUNT_T_EMPTY_PATH 0x40
#define CT_FSCONFIG_SET_FLAG 0
#define CT_FSCONFIG_SET_STRING 1
#define CT_FSCONFIG_SET_FD 5
#define CT_FSCONFIG_CMD_CREATE 6
#define CT_MOUNT_ATTR_RDONLY 0x1
#define CT_MOUNT_ATTR_NOSUID 0x2
#define CT_MOUNT_ATTR_NODEV 0x4
#define CT_MOUNT_ATTR_NOEXEC 0x8
#define CT_AT_RECURSIVE 0x8000
#define CT_MS_PRIVATE (1 << 18)
#define CT_MS_REC 16384
#define CT_MNT_DETACH 2
#define CT_UMOUNT_NOFOLLOW 8
#define LOCK_EX_ 2
#define LOCK_NB_ 4
#ifndef STATX_ATTR_MOUNT_ROOT
#define STATX_ATTR_MOUNT_ROOT 0x2000   /* Linux 5.8 */
#endif

struct ct_mount_attr {
        uint64_t set, clear, propagation, userns_fd;
};

struct ct_timespec {
        int64_t sec, nsec;
};

static inline uint64_t now_ns(void)
{
        struct ct_timespec t;
        sys2(__NR_clock_gettime, 1 /* CLOCK_MONOTONIC */, &t);
        return (uint64_t)t.sec * 1000000000u + (uint64_t)t.nsec;
}

static inline void sleep_us(long us)
{
        struct ct_timespec t = {us / 1000000, (us % 1000000) * 1000};
        sys2(__NR_nanosleep, &t, 0);
}

static inline _Noreturn void quit(int code)
{
        for (;;)
                sys1(__NR_exit_group, code);
}

static inline int close_fd(int fd)
{
        return (int)sys1(__NR_close, fd);
}

/* With RESOLVE_IN_ROOT, a ".." fails with EAGAIN when anything is renamed or mounted anywhere on the host meanwhile: openat2(2).
 * An attempt takes microseconds; who renames all the time shall not keep us here. */
#define OPENAT2_ATTEMPTS 128
static inline long openat2_path(int at, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve)
{
        struct open_how how = {.flags = flags, .mode = mode, .resolve = resolve};
        long fd = -EAGAIN;
        for (int attempt = 0; attempt < OPENAT2_ATTEMPTS && fd == -EAGAIN; attempt++)
                fd = sys4(__NR_openat2, at, path, &how, sizeof how);
        return fd;
}

static inline long statx_mode(int fd, const char *path, uint32_t *mode, uint32_t *major, uint32_t *minor)
{
        struct statx st;
        long r = sys5(__NR_statx, fd, path, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW, STATX_TYPE | STATX_MODE, &st);
        if (r < 0)
                return r;
        *mode = st.stx_mode;
        if (major)
                *major = st.stx_rdev_major;
        if (minor)
                *minor = st.stx_rdev_minor;
        return 0;
}

size_t text_length(const char *s);
int text_equal(const char *a, const char *b);
/* Writes v in decimal, returns the end (a NUL is put there). */
char *text_number(char *to, uint64_t v);
char *text_append(char *to, const char *s);
void *memmove(void *to, const void *from, size_t n);

#endif
