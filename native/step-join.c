/* step-join.c: steps of a process that joins a running container. */
#include "launcher.h"
#include <asm/statfs.h>

#define DEVPTS_MAGIC 0x1cd1
#define TIOCSWINSZ_ 0x5414
#define TIOCSPTLCK_ 0x40045431
#define TIOCGPTPEER_ 0x5441

/* setns(2) with a pid namespace is for children only. The child does nothing before its spawner has written down who it is, and
 * begins a session only then: until that, it can be found by its group. Who forked it is gone a moment later. */
static int fork_inside(struct run *run)
{
        int pidfd = -1;
        if (run->spawner < 0)
                return -EINVAL;
        long pid = sys5(__NR_clone, CLONE_PARENT | CLONE_PIDFD, 0, &pidfd, 0, 0);
        if (pid < 0)
                return (int)pid;
        if (pid > 0) {
                struct entered entered = {.pid = (int32_t)pid, .step = run->progress->step};
                quit(send_message(run->spawner, &entered, sizeof entered, &pidfd, 1, 0) < 0);
        }
        char go;
        if (sys3(__NR_read, run->spawner, &go, 1) != 1)
                quit(127);
        long r = sys0(__NR_setsid);
        return r < 0 ? (int)r : 0;
}

/* A container may have put anything at these paths: what is opened is the ptmx of a devpts, and nothing mounted on it
 * (CVE-2025-52565 and its like). The other end is got without a path. */
static long open_terminal(void)
{
        struct statfs64 fs;
        long directory = openat2_path(AT_FDCWD, "/dev/pts", O_PATH | O_DIRECTORY | O_CLOEXEC, 0, RESOLVE_NO_SYMLINKS);
        if (directory < 0)
                return directory;
        long r = sys2(__NR_fstatfs, directory, &fs);
        if (r == 0)
                r = fs.f_type != DEVPTS_MAGIC ? -ENODEV
                                              : openat2_path((int)directory, "ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC, 0,
                                                             RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV | RESOLVE_BENEATH);
        close_fd((int)directory);
        return r;
}

static int terminal(struct run *run, const struct ct_step *step, int socket)
{
        const uint16_t size[4] = {(uint16_t)step->x, (uint16_t)step->y, 0, 0};
        int unlocked = 0;
        long near = open_terminal(), far = -1;
        if (near < 0)
                return (int)near;
        int fd = (int)near;
        long r = sys3(__NR_ioctl, fd, TIOCSPTLCK_, &unlocked);
        if (r == 0)
                r = far = sys3(__NR_ioctl, fd, TIOCGPTPEER_, O_RDWR | O_NOCTTY | O_CLOEXEC);
        if (r >= 0)
                r = sys3(__NR_ioctl, fd, TIOCSWINSZ_, size);
        if (r >= 0)
                r = sys3(__NR_fchown, far, step->z, -1);
        if (r >= 0)
                r = send_message(socket, "t", 1, &fd, 1, MSG_DONTWAIT_);
        close_fd(fd);
        if (r < 0 && far >= 0)
                close_fd((int)far);
        return r < 0 ? (int)r : slot_set(run, step->out, (int)far);
}

int step_join(struct run *run, const struct ct_step *step)
{
        int at = slot_fd(run, step->at);
        switch (step->op) {
        case CT_OP_FORK:
                return fork_inside(run);
        case CT_OP_TERMINAL:
                return at < 0 ? -EBADF : terminal(run, step, at);
        }
        return -ENOSYS;
}
