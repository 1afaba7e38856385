/* step-run.c: steps about the process itself, its namespaces, its limits, and the last one: exec. */
#include "execute.h"
#include <linux/keyctl.h>
#include <linux/netlink.h>
#include <linux/poll.h>
#include <linux/socket.h>

#define AF_NETLINK_ 16
#define AF_UNIX_ 1
#define SOCK_SEQPACKET_CLOEXEC (5 | O_CLOEXEC)
#define MSG_DONTWAIT_ 0x40
#define SOCK_RAW_CLOEXEC (3 | O_CLOEXEC)
#define TIOCSCTTY_ 0x540E
#define TIOCSWINSZ_ 0x5414
#define TIOCSPTLCK_ 0x40045431
#define TIOCGPTPEER_ 0x5441            /* as an open of the other end, without a path to it: ioctl_tty(2) */

/* A user namespace is there as long as a descriptor holds it: the process it was made for is gone again at once. */
static int user_namespace(struct run *run, const struct ct_step *step)
{
        static const char *const files[] = {"/uid_map", "/gid_map"};
        const char *maps[] = {step_s1(run, step), step_s2(run, step)};
        char path[40];
        int hold[2], proc = slot_fd(run, CT_SLOT_PROC);
        long r = sys2(__NR_pipe2, hold, O_CLOEXEC);
        if (r < 0)
                return (int)r;
        long pid = sys5(__NR_clone, CLONE_NEWUSER | SIGCHLD_, 0, 0, 0, 0);
        if (pid == 0) {
                char none;
                close_fd(hold[1]);
                sys3(__NR_read, hold[0], &none, 1);
                quit(0);
        }
        close_fd(hold[0]);
        r = pid < 0 ? pid : 0;
        for (int i = 0; r >= 0 && i < 2; i++) {
                text_append(text_number(path, (uint64_t)pid), files[i]);
                long fd = sys4(__NR_openat, proc, path, O_WRONLY | O_CLOEXEC, 0);
                r = fd < 0 ? fd : sys3(__NR_write, fd, maps[i], text_length(maps[i]));
                if (fd >= 0)
                        close_fd((int)fd);
        }
        if (r >= 0) {
                text_append(text_number(path, (uint64_t)pid), "/ns/user");
                r = sys4(__NR_openat, proc, path, O_RDONLY | O_CLOEXEC, 0);
        }
        close_fd(hold[1]);
        if (pid > 0)
                sys4(__NR_wait4, pid, 0, 0x40000000 /* __WALL */, 0);
        return r < 0 ? (int)r : slot_set(run, step->out, (int)r);
}

/* Sends prepared netlink messages and reads as many acknowledgements; the first refusal is the result. */
static int netlink(struct run *run, const struct ct_step *step)
{
        _Alignas(struct nlmsghdr) char answer[8192];
        const char *message = step_s1(run, step);
        if (step->z != 0) {
                int32_t value = step->out == -1 ? run->progress->pid : slot_fd(run, step->out);
                if (value < 0)
                        return value;
                if (step->n1 > sizeof answer || step->z > step->n1 - sizeof value)
                        return -EINVAL;
                for (uint32_t i = 0; i < step->n1; i++)
                        answer[i] = message[i];
                for (uint32_t i = 0; i < sizeof value; i++)
                        answer[step->z + i] = ((char *)&value)[i];
                message = answer;
        }
        long fd = step->at == -1 ? sys3(__NR_socket, AF_NETLINK_, SOCK_RAW_CLOEXEC, step->x) : slot_fd(run, step->at);
        if (fd < 0)
                return (int)fd;
        long r = sys6(__NR_sendto, fd, SYS_ARG(message), step->n1, 0, 0, 0);
        uint64_t left = r < 0 ? 0 : step->y;
        int result = r < 0 ? (int)r : 0;
        while (left > 0) {
                long n = sys6(__NR_recvfrom, fd, SYS_ARG(answer), sizeof answer, 0, 0, 0);
                if (n < 0) {
                        result = (int)n;
                        break;
                }
                for (long at = 0; at + (long)sizeof(struct nlmsghdr) <= n;) {
                        struct nlmsghdr *head = (struct nlmsghdr *)(answer + at);
                        if (head->nlmsg_len < sizeof *head)
                                break;
                        if (head->nlmsg_type == NLMSG_ERROR) {
                                int error = ((struct nlmsgerr *)(head + 1))->error;
                                if (error < 0 && result == 0)
                                        result = error;
                                left -= left > 0;
                        }
                        at += NLMSG_ALIGN(head->nlmsg_len);
                }
        }
        if (step->at == -1)
                close_fd((int)fd);
        return result;
}

/* A socket stays in the namespace that it was made in. Who cannot go back to its own does nothing more. */
static int socket_inside(struct run *run, const struct ct_step *step, int there)
{
        int home = (int)sys4(__NR_openat, slot_fd(run, CT_SLOT_PROC), "self/ns/net", O_RDONLY | O_CLOEXEC, 0);
        if (home < 0)
                return home;
        long r = sys2(__NR_setns, there, CLONE_NEWNET);
        if (r == 0) {
                r = sys3(__NR_socket, step->x, step->y | O_CLOEXEC, step->z);
                if (sys2(__NR_setns, home, CLONE_NEWNET) < 0)
                        quit(1);
        }
        close_fd(home);
        return r < 0 ? (int)r : slot_set(run, step->out, (int)r);
}

static int rlimit(const struct ct_step *step)
{
        struct rlimit64 limit = {step->x, step->y}, present;
        if (step->flags & CT_F_CLAMP) {
                long r = sys4(__NR_prlimit64, 0, step->z, 0, &present);
                if (r < 0)
                        return (int)r;
                if (limit.rlim_max > present.rlim_max)
                        limit.rlim_max = present.rlim_max;
                if (limit.rlim_cur > limit.rlim_max)
                        limit.rlim_cur = limit.rlim_max;
        }
        return (int)sys4(__NR_prlimit64, 0, step->z, &limit, 0);
}

/* getcwd(2) answers "(unreachable)…" for a directory outside the root: CVE-2024-21626. */
static int workdir(struct run *run, const struct ct_step *step)
{
        int root = (int)sys4(__NR_openat, AT_FDCWD, "/", O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
        if (root < 0)
                return root;
        int directory = open_in_root(run, root, step_s1(run, step), step->flags, 0755);
        close_fd(root);
        if (directory < 0)
                return directory;
        long r = sys1(__NR_fchdir, directory);
        close_fd(directory);
        if (r < 0)
                return (int)r;
        r = sys2(__NR_getcwd, run->path, sizeof run->path);
        if (r < 0)
                return (int)r;
        return run->path[0] == '/' ? 0 : -EXDEV;
}

int run_prepare_exec(struct run *run)
{
        uint32_t end = run->plan->end[PHASE_CHILD];
        const struct ct_step *exec = end > 0 ? &run->steps[end - 1] : 0;
        if (!exec || end == phase_start(run, PHASE_CHILD))
                return -ENOEXEC;
        if (exec->op == CT_OP_NEXT_PLAN)
                return 0;
        if (exec->op != CT_OP_EXEC)
                return -ENOEXEC;
        uint64_t count = exec->y + exec->z;
        if (exec->y == 0 || count > exec->n2 + 1u)
                return -EINVAL;
        run->vector_size = (count + 2) * sizeof(char *);
        long map = sys6(__NR_mmap, 0, (long)run->vector_size, 3, 0x22 /* MAP_PRIVATE | MAP_ANONYMOUS */, -1, 0);
        if (map < 0 && map > -4096)
                return (int)map;
        run->vector = (char **)map;
        char *text = (char *)(uintptr_t)step_s2(run, exec), *limit = text + exec->n2;
        for (uint64_t i = 0; i < count; i++) {
                if (text > limit)
                        return -EINVAL;
                run->vector[i + (i >= exec->y)] = text;
                text += text_length(text) + 1;
        }
        return 0;
}

/* As execvp(3): the first candidate that can be run; a file that exists but may not be run outranks one that is missing. */
static int execute(struct run *run, const struct ct_step *step)
{
        const char *path = step_s1(run, step), *limit = path + step->n1;
        uint64_t none = 0;
        int result = -ENOENT;
        run->progress->error = 0;
        sys4(__NR_rt_sigprocmask, 2 /* SIG_SETMASK */, &none, 0, sizeof none);
        for (uint64_t i = 0; i < step->x && path <= limit; i++) {
                long r = sys3(__NR_execve, path, run->vector, run->vector + step->y + 1);
                if (r != -ENOENT && r != -ENOTDIR && (result == -ENOENT || r != -EACCES))
                        result = (int)r;
                path += text_length(path) + 1;
        }
        return result;
}

/* The supervisor holds the only writing end of this pipe. */
static int life(const struct run *run)
{
        struct pollfd poll = {slot_fd(run, CT_SLOT_LIFE), 0, 0};
        struct ct_timespec now = {0, 0};
        long r = sys5(__NR_ppoll, &poll, 1, &now, 0, 8);
        return r < 0 ? (int)r : (poll.revents & (POLLHUP | POLLERR)) ? -ESRCH : 0;
}

/* A prepared container: all is done but what follows. From here on the spawner's progress page is somebody else's, so failures
 * go through the pipe. */
static int say_held(struct run *run)
{
        static struct progress own;
        if (run->done < 0)
                return -EINVAL;
        own = (struct progress){.received_ns = run->progress->received_ns, .step = run->progress->step};
        run->progress = &own;
        run->tracing = 0;
        if (sys3(__NR_write, run->done, "h", 1) != 1)
                return -ECANCELED;
        run->held = 1;
        return 0;
}

/* Tells the end of the pipe that is exec from the one that is death. */
static int say_going(const struct run *run)
{
        return sys3(__NR_write, run->done, "g", 1) == 1 ? 0 : -ECANCELED;
}

static int hold(struct run *run, int gate)
{
        char go;
        long n = say_held(run);
        if (n < 0)
                return (int)n;
        do
                n = sys3(__NR_read, gate, &go, 1);
        while (n == -EINTR);
        return n == 1 ? say_going(run) : -ECANCELED;
}

/* The child is forked, so the memory is its own. What comes are steps of the child phase, the last of them exec. */
static int next_plan(struct run *run, int gate)
{
        static struct run next;
        struct ct_request request;
        int fds[CT_PASSED_MAX], count;
        long n = say_held(run);
        if (n < 0)
                return (int)n;
        do
                n = receive_message(gate, &request, sizeof request, fds, &count, 0);
        while (n == -EINTR);
        if (n != sizeof request || request.version != CT_ABI || request.type != CT_START || count < 1)
                return -ECANCELED;
        int r = say_going(run);
        if (r == 0)
                r = run_open(&next, fds[0], run->progress);
        if (r < 0)
                return r;
        for (int i = 0; i < CT_SLOTS; i++)
                next.slots[i] = run->slots[i];
        for (int i = 1; i < count; i++)
                next.slots[CT_SLOT_PASSED + i - 1] = fds[i];
        next.done = run->done;
        r = run_prepare_exec(&next);
        return r < 0 ? r : run_phase(&next, PHASE_CHILD);
}

/* Where the program looks for the terminal by name. What an image has there is covered, not followed. */
static long mount_terminal(int terminal, const char *path)
{
        long made = sys4(__NR_openat, AT_FDCWD, path, O_CREAT | O_EXCL | O_NOFOLLOW | O_WRONLY | O_CLOEXEC, 0620);
        if (made >= 0)
                close_fd((int)made);
        else if (made != -EEXIST)
                return made;
        long target = sys4(__NR_openat, AT_FDCWD, path, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0);
        if (target < 0)
                return target;
        long tree = sys3(__NR_open_tree, terminal, "", CT_OPEN_TREE_CLONE | O_CLOEXEC | AT_EMPTY_PATH), r = tree;
        if (tree >= 0) {
                r = sys5(__NR_move_mount, tree, "", target, "", CT_MOVE_MOUNT_F_EMPTY_PATH | CT_MOVE_MOUNT_T_EMPTY_PATH);
                close_fd((int)tree);
        }
        close_fd((int)target);
        return r;
}

/* The terminal is of the container's own devpts, so that its programs find it there under its name. */
static int terminal(struct run *run, const struct ct_step *step)
{
        uint16_t size[4] = {(uint16_t)(step->y >> 16), (uint16_t)step->y, 0, 0};
        int zero = 0, socket = slot_fd(run, step->at);
        if (socket < 0 || step->n1 + sizeof "/ptmx" > sizeof run->path)
                return -EBADF;
        text_append(text_append(run->path, step_s1(run, step)), "/ptmx");
        int master = (int)openat2_path(AT_FDCWD, run->path, O_RDWR | O_NOCTTY | O_CLOEXEC, 0, RESOLVE_NO_SYMLINKS);
        if (master < 0)
                return master;
        long r = sys3(__NR_ioctl, master, TIOCSPTLCK_, &zero);
        long peer = r < 0 ? r : sys3(__NR_ioctl, master, TIOCGPTPEER_, O_RDWR | O_NOCTTY | O_CLOEXEC);
        r = peer;
        if (r >= 0 && step->y != 0)
                r = sys3(__NR_ioctl, master, TIOCSWINSZ_, size);
        if (r >= 0)
                r = sys5(__NR_fchownat, peer, "", step->x, -1, AT_EMPTY_PATH);
        if (r >= 0 && step->n2 > 0)
                r = mount_terminal((int)peer, step_s2(run, step));
        if (r >= 0)
                r = send_message(socket, "t", 1, &master, 1, 0);
        for (int fd = 0; r >= 0 && fd < 3; fd++)
                r = sys3(__NR_dup3, peer, fd, 0);
        close_fd(master);
        if (peer >= 0)
                close_fd((int)peer);
        return r < 0 ? (int)r : 0;
}

static int pair(struct run *run, const struct ct_step *step)
{
        int ends[2];
        long r = sys4(__NR_socketpair, AF_UNIX_, SOCK_SEQPACKET_CLOEXEC, 0, ends);
        if (r < 0)
                return (int)r;
        r = slot_set(run, step->out, ends[0]);
        int other = slot_set(run, (int64_t)step->x, ends[1]);
        return r < 0 ? (int)r : other;
}

static int pass(const struct run *run, const struct ct_step *step, int socket)
{
        const int fds[] = {slot_fd(run, (int64_t)step->x), slot_fd(run, (int64_t)step->y)};
        if (fds[0] < 0 || fds[1] < 0)
                return -EBADF;
        long n = send_message(socket, "p", 1, fds, 2, MSG_DONTWAIT_);
        return n < 0 ? (int)n : 0;
}

int step_process(struct run *run, const struct ct_step *step)
{
        const char *s1 = step_s1(run, step);
        int at = slot_fd(run, step->at);
        long r;
        switch (step->op) {
        case CT_OP_SETNS:
                if (at < 0) /* the launcher knows why it has no empty namespace */
                        return step->at == CT_SLOT_EMPTY_NS ? run->slots[CT_SLOT_EMPTY_NS] : -EBADF;
                return (int)sys2(__NR_setns, at, step->x);
        case CT_OP_UNSHARE:
                return (int)sys1(__NR_unshare, step->x);
        case CT_OP_HOSTNAME:
                return (int)sys2(__NR_sethostname, s1, step->n1);
        case CT_OP_DOMAINNAME:
                return (int)sys2(__NR_setdomainname, s1, step->n1);
        case CT_OP_RLIMIT:
                return rlimit(step);
        case CT_OP_NETLINK:
                return netlink(run, step);
        case CT_OP_SOCKET:
                r = sys3(__NR_socket, step->x, step->y | O_CLOEXEC, step->z);
                return r < 0 ? (int)r : slot_set(run, step->out, (int)r);
        case CT_OP_PAIR:
                return pair(run, step);
        case CT_OP_PASS:
                return at < 0 ? -EBADF : pass(run, step, at);
        case CT_OP_SOCKET_INSIDE:
                return at < 0 ? -EBADF : socket_inside(run, step, at);
        case CT_OP_KEYRING:
                r = sys2(__NR_keyctl, KEYCTL_JOIN_SESSION_KEYRING, s1[0] ? s1 : 0);
                return r < 0 ? (int)r : 0;
        case CT_OP_STDIO:
                /* The launcher keeps 0, 1 and 2 occupied, so no slot is ever one of them. */
                r = at < 0 || step->x > 2 ? -EBADF : sys3(__NR_dup3, at, step->x, 0);
                return r < 0 ? (int)r : 0;
        case CT_OP_CLOSE_RANGE:
                return (int)sys3(__NR_close_range, step->x, ~0u, step->y);
        case CT_OP_WORKDIR:
                return workdir(run, step);
        case CT_OP_EXEC:
                return execute(run, step);
        case CT_OP_SETSID:
                r = sys0(__NR_setsid);
                return r < 0 ? (int)r : 0;
        case CT_OP_CTTY:
                return (int)sys3(__NR_ioctl, step->x, TIOCSCTTY_, 0);
        case CT_OP_UMASK:
                sys1(__NR_umask, step->x);
                return 0;
        case CT_OP_LIFE:
                return life(run);
        case CT_OP_USER_NAMESPACE:
                return user_namespace(run, step);
        case CT_OP_HOLD:
                return at < 0 ? -EBADF : hold(run, at);
        case CT_OP_NEXT_PLAN:
                return at < 0 ? -EBADF : next_plan(run, at);
        case CT_OP_CONSOLE:
                return terminal(run, step);
        case CT_OP_CLONE: /* the spawner's own affair, at the end of the host phase */
        case CT_OP_ENTER:
                return 0;
        }
        return -ENOSYS;
}
