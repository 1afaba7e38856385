/* launcher.c: the beginning of the launcher. Sheds what Node handed down, prepares what all starts share, forks the janitor and
 * becomes the supervisor. Descriptors 3, 4 and 5: requests, control, events. */
#include "launcher.h"
#include <linux/keyctl.h>
#include <linux/prctl.h>
#include <linux/sched.h>

#define AF_UNIX_ 1
#define SOCK_SEQPACKET_CLOEXEC (5 | O_CLOEXEC)
#define RLIMIT_NOFILE_ 7
#define TIMER_SLACK_NS 50000           /* the kernel's own default for ordinary tasks: init_task.timer_slack_ns */

int main(int argc, char **argv, char **envp);

struct kernel_sigaction {
        uint64_t handler, flags, restorer, mask;
};

static void reset_signals(void)
{
        struct kernel_sigaction standard = {0};
        uint64_t all = ~(uint64_t)0;
        for (int signal = 1; signal <= 64; signal++)
                sys4(__NR_rt_sigaction, signal, &standard, 0, 8);
        sys4(__NR_rt_sigprocmask, 2 /* SIG_SETMASK */, &all, 0, 8);
}

/* Whatever a container must not inherit from the program that hosts us. Refusals are fine: an ordinary user may not raise what
 * was lowered, and then the kernel's refusal is the limit that applies. */
static void shed_inheritance(void)
{
        uint64_t cpus[128];
        int priority = 0;
        struct rlimit64 limit;
        reset_signals();
        sys1(__NR_umask, 0);
        sys3(__NR_setpriority, 0, 0, 0);
        sys3(__NR_sched_setscheduler, 0, 0 /* SCHED_OTHER */, &priority);
        for (size_t i = 0; i < sizeof cpus / sizeof *cpus; i++)
                cpus[i] = ~(uint64_t)0;
        sys3(__NR_sched_setaffinity, 0, sizeof cpus, cpus);
        sys3(__NR_ioprio_set, 1 /* IOPRIO_WHO_PROCESS */, 0, 0);
        sys5(__NR_prctl, PR_SET_TIMERSLACK, TIMER_SLACK_NS, 0, 0, 0);
        sys5(__NR_prctl, PR_SET_SECUREBITS, 0, 0, 0, 0);
        sys5(__NR_prctl, PR_SET_THP_DISABLE, 0, 0, 0, 0);
        sys5(__NR_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
        sys1(__NR_personality, 0);
        sys2(__NR_keyctl, KEYCTL_JOIN_SESSION_KEYRING, 0);
        sys1(__NR_chdir, "/");
        sys0(__NR_setsid);
        if (sys4(__NR_prlimit64, 0, RLIMIT_NOFILE_, 0, &limit) == 0) {
                limit.rlim_cur = limit.rlim_max;
                sys4(__NR_prlimit64, 0, RLIMIT_NOFILE_, &limit, 0);
        }
}

static void shed_oom_score(int proc)
{
        long fd = sys4(__NR_openat, proc, "self/oom_score_adj", O_WRONLY | O_CLOEXEC, 0);
        if (fd < 0)
                return;
        sys3(__NR_write, fd, "0", 1);
        close_fd((int)fd);
}

static int mount_fs(const char *type, const char *key, const char *value, uint64_t attributes)
{
        long fs = sys2(__NR_fsopen, type, 1);
        if (fs < 0)
                return (int)fs;
        long r = key ? sys5(__NR_fsconfig, fs, CT_FSCONFIG_SET_STRING, key, value, 0) : 0;
        if (r == 0)
                r = sys5(__NR_fsconfig, fs, CT_FSCONFIG_CMD_CREATE, 0, 0, 0);
        if (r == 0)
                r = sys3(__NR_fsmount, fs, 1, attributes);
        close_fd((int)fs);
        return (int)r;
}

/* pivot_root(2) wants a root that is a mount, which a chroot's need not be. To enter a mount namespace, even its own, takes a
 * process to the root of that namespace: setns(2). */
static long leave_chroot(int proc)
{
        long self = sys4(__NR_openat, proc, "self/ns/mnt", O_RDONLY | O_CLOEXEC, 0);
        if (self < 0)
                return self;
        long r = sys2(__NR_setns, self, CLONE_NEWNS);
        close_fd((int)self);
        return r;
}

/* Leaves the calling process in a mount namespace whose only mount is an empty, read-only tmpfs of one inode. */
static int enter_empty_namespace(int proc)
{
        long r = sys1(__NR_unshare, CLONE_NEWNS);
        if (r == 0)
                r = leave_chroot(proc);
        if (r == 0)
                r = sys5(__NR_mount, 0, "/", 0, CT_MS_REC | CT_MS_PRIVATE, 0);
        if (r < 0)
                return (int)r;
        int root = mount_fs("tmpfs", "nr_inodes", "1",
                            CT_MOUNT_ATTR_RDONLY | CT_MOUNT_ATTR_NOSUID | CT_MOUNT_ATTR_NODEV | CT_MOUNT_ATTR_NOEXEC);
        if (root < 0)
                return root;
        r = sys5(__NR_move_mount, root, "", AT_FDCWD, "/", CT_MOVE_MOUNT_F_EMPTY_PATH);
        if (r == 0)
                r = sys1(__NR_fchdir, root);
        if (r == 0)
                r = sys2(__NR_pivot_root, ".", ".");
        if (r == 0)
                r = sys2(__NR_umount2, ".", CT_MNT_DETACH);
        return (int)r;
}

/* A descriptor of such a namespace, made by a short-lived child: we ourselves stay in the host's. */
static int empty_namespace(int proc)
{
        int ready[2], done[2], answer = -EIO;
        if (sys2(__NR_pipe2, ready, O_CLOEXEC) < 0)
                return -EMFILE;
        if (sys2(__NR_pipe2, done, O_CLOEXEC) < 0)
                return -EMFILE;
        long pid = fork_process();
        if (pid < 0)
                return (int)pid;
        if (pid == 0) {
                char none;
                int r = enter_empty_namespace(proc);
                close_fd(done[1]);
                sys3(__NR_write, ready[1], &r, sizeof r);
                sys3(__NR_read, done[0], &none, 1);
                quit(0);
        }
        close_fd(ready[1]);
        close_fd(done[0]);
        sys3(__NR_read, ready[0], &answer, sizeof answer);
        if (answer == 0) {
                char path[40];
                text_append(text_number(path, (uint64_t)pid), "/ns/mnt");
                answer = (int)sys4(__NR_openat, proc, path, O_RDONLY | O_CLOEXEC, 0);
        }
        close_fd(ready[0]);
        close_fd(done[1]);
        sys4(__NR_wait4, pid, 0, 0x40000000 /* __WALL */, 0);
        return answer;
}

int start_spawner(struct launcher *launcher, int number)
{
        long pid = fork_process();
        if (pid == 0)
                spawner_main(launcher, number);
        return (int)pid;
}

int start_janitor(struct launcher *launcher)
{
        long r = sys4(__NR_socketpair, AF_UNIX_, SOCK_SEQPACKET_CLOEXEC, 0, launcher->removals);
        if (r < 0)
                return (int)r;
        r = fork_process();
        if (r == 0)
                janitor_main(launcher);
        close_fd(launcher->removals[1]);
        launcher->removals[1] = -1;
        launcher->janitor = (int)r;
        return (int)r;
}

/* Keeps 0, 1 and 2 occupied by the null device: no descriptor that we receive may ever be one of them. */
static void occupy_stdio(void)
{
        int null = (int)sys4(__NR_openat, AT_FDCWD, "/dev/null", O_RDWR | O_CLOEXEC, 0);
        for (int fd = 0; null >= 0 && fd < 3; fd++)
                if (null != fd)
                        sys3(__NR_dup3, null, fd, 0);
        if (null > 2)
                close_fd(null);
}

int main(int argc, char **argv, char **envp)
{
        static struct launcher launcher = {.requests = 3, .control = 4, .events = 5};
        (void)envp;
        if (argc == 1 && text_equal(argv[0], ENTER_NAME))
                enter_main();
        launcher.self = (int)sys0(__NR_getpid);
        shed_inheritance();
        sys3(__NR_close_range, 6, ~0u, 0);
        occupy_stdio();
        for (int fd = 3; fd < 6; fd++)
                if (sys3(__NR_fcntl, fd, F_SETFD, FD_CLOEXEC) < 0)
                        return 111;
        launcher.proc = mount_fs("proc", 0, 0, CT_MOUNT_ATTR_NOSUID | CT_MOUNT_ATTR_NODEV | CT_MOUNT_ATTR_NOEXEC);
        if (launcher.proc < 0) {
                launcher.private_proc = launcher.proc;
                launcher.proc = (int)sys4(__NR_openat, AT_FDCWD, "/proc", O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
        }
        shed_oom_score(launcher.proc);
        launcher.program = (int)sys4(__NR_openat, launcher.proc, "self/exe", O_PATH | O_CLOEXEC, 0);
        long shared = sys6(__NR_mmap, 0, sizeof(struct shared), 3, 0x21 /* MAP_SHARED | MAP_ANONYMOUS */, -1, 0);
        if (shared < 0 && shared > -4096)
                return 111;
        launcher.shared = (struct shared *)shared;
        launcher.empty_namespace = empty_namespace(launcher.proc);
        if (sys4(__NR_socketpair, AF_UNIX_, SOCK_SEQPACKET_CLOEXEC, 0, launcher.reports) < 0 ||
            sys2(__NR_pipe2, launcher.life, O_CLOEXEC) < 0 || start_janitor(&launcher) < 0)
                return 111;
        return supervisor_main(&launcher);
}
