/* enter.c: joining a running container. A spawner starts our own sealed program anew: the new process shares no memory with
 * anything privileged, holds no descriptor but those of its plan, and nobody in the container sees it. It joins the cgroup and
 * the namespaces, gives up its privileges, and only then forks the process that is visible in there. */
#include "launcher.h"
#include <linux/poll.h>

#define AF_UNIX_ 1
#define SOCK_SEQPACKET_CLOEXEC (5 | O_CLOEXEC)
#define SPAWNER_SOCKET 3
#define CLOSE_RANGE_CLOEXEC_ 4
#define STACK_SIZE (32 * 1024)
#define LOOK_NS 20000000               /* how often a spawner that waits looks whether its start was given up */

/* From the spawner, with the descriptors: the plan, then those that go into these slots. */
struct brief {
        int32_t parent;                /* whose child it is */
        int32_t slots[CT_PASSED_MAX];
};

struct helper {
        const struct launcher *launcher;
        struct progress *progress;
        int socket;
};

static char helper_stack[STACK_SIZE] __attribute__((aligned(64)));

/* Shares the spawner's memory until exec. */
static int become_helper(void *argument)
{
        static char name[] = ENTER_NAME;
        static char *const arguments[] = {name, 0}, *const environment[] = {0};
        const struct helper *helper = argument;
        long r = sys3(__NR_dup3, helper->socket, SPAWNER_SOCKET, 0);
        for (int fd = 0; r >= 0 && fd < SPAWNER_SOCKET; fd++)
                r = sys3(__NR_fcntl, fd, F_SETFD, 0); /* occupied by the null device there, too */
        if (r >= 0)
                r = sys2(__NR_setpgid, 0, 0);
        if (r >= 0)
                r = sys3(__NR_close_range, SPAWNER_SOCKET + 1, ~0u, CLOSE_RANGE_CLOEXEC_);
        if (r >= 0)
                r = sys5(__NR_execveat, helper->launcher->program, "", arguments, environment, AT_EMPTY_PATH);
        helper->progress->error = (int32_t)-r;
        return 127;
}

static int send_brief(const struct launcher *launcher, const struct run *run, int socket)
{
        struct brief brief = {.parent = launcher->self};
        int fds[CT_PASSED_MAX] = {run->plan_fd}, count = 1;
        for (int slot = CT_SLOT_PROC; slot < CT_SLOT_PASSED + CT_PASSED_MAX; slot++) {
                if (run->slots[slot] < 0)
                        continue;
                if (count == CT_PASSED_MAX)
                        return -E2BIG;
                brief.slots[count] = slot;
                fds[count++] = run->slots[slot];
        }
        long n = send_message(socket, &brief, sizeof brief, fds, count, 0);
        return n < 0 ? (int)n : 0;
}

void release_entered(const struct run *run, int pid)
{
        uint32_t end = run->plan->end[PHASE_HOST];
        const struct ct_step *enter = end > 0 ? &run->steps[end - 1] : 0;
        char number[24];
        if (!enter || enter->op != CT_OP_ENTER || enter->n1 == 0 || pid <= 0)
                return;
        long fd = sys4(__NR_openat, AT_FDCWD, step_s1(run, enter), O_WRONLY | O_CLOEXEC, 0);
        if (fd < 0)
                return;
        sys3(__NR_write, fd, number, text_number(number, (uint64_t)pid) - number);
        close_fd((int)fd);
}

static void end_entered(const struct run *run, int pid)
{
        if (pid > 0 && sys2(__NR_kill, pid, SIGKILL_) == 0)
                release_entered(run, pid);
}

/* As ppoll(2) without a timeout. What joins a container that is paused stands, and so does whom it forked: a start that is
 * given up meanwhile has to end them. */
static long await(const struct run *run, struct pollfd *polls, int count)
{
        const struct progress *progress = run->progress;
        for (;;) {
                struct ct_timespec look = {0, LOOK_NS};
                long n = sys5(__NR_ppoll, polls, count, &look, 0, 8);
                if (n != 0 && n != -EINTR)
                        return n;
                if (is_aborted(progress)) {
                        end_entered(run, progress->helper);
                        end_entered(run, progress->pid);
                }
        }
}

/* What the other side says, or that it is gone: helper is its pidfd, or -1 when its end of the socket tells. */
static int hear(const struct run *run, int socket, int helper, struct entered *said, int *pidfd)
{
        struct pollfd polls[2] = {{socket, POLLIN, 0}, {helper, POLLIN, 0}};
        int fds[CT_PASSED_MAX], count;
        long n = await(run, polls, helper < 0 ? 1 : 2);
        if (n < 0)
                return (int)n;
        if (!polls[0].revents)
                return 0;
        n = receive_message(socket, said, sizeof *said, fds, &count, MSG_DONTWAIT_);
        /* Whoever traces the process inside could say anything on its behalf. */
        for (int i = 0; i < count; i++)
                if (i == 0 && pidfd && n == sizeof *said && said->error == 0)
                        *pidfd = fds[i];
                else
                        close_fd(fds[i]);
        return n == sizeof *said ? 1 : 0;
}

static void await_death(const struct run *run, int pidfd)
{
        struct pollfd poll = {pidfd, POLLIN, 0};
        await(run, &poll, 1);
}

static int failed(struct run *run, const struct entered *said)
{
        if (said->step < run->count)
                run->progress->step = said->step;
        run->progress->error = said->error > 0 && said->error < 4096 ? said->error : EPROTO;
        return -run->progress->error;
}

static int attend(const struct launcher *launcher, struct run *run, int socket, int helper)
{
        struct progress *progress = run->progress;
        struct entered said = {0};
        progress->error = ECHILD;      /* should it be killed before it can say why */
        int r = send_brief(launcher, run, socket);
        if (r < 0)
                return r;
        r = hear(run, socket, helper, &said, &run->pidfd);
        if (r <= 0)
                return r < 0 ? r : -ECHILD;
        if (said.error != 0)
                return failed(run, &said);
        if (run->pidfd < 0 || said.pid <= 0)
                return -EPROTO;
        __atomic_store_n(&progress->pid, said.pid, __ATOMIC_SEQ_CST);
        await_death(run, helper);
        if (sys3(__NR_write, socket, "g", 1) != 1)
                return -ECHILD;
        /* From here on the end of the socket is exec: what dies after it has been told to go on has run. */
        r = hear(run, socket, -1, &said, 0);
        if (r > 0)
                return failed(run, &said);
        progress->error = 0;
        return r;
}

int enter_container(struct launcher *launcher, struct run *run, const struct ct_step *step)
{
        int sockets[2], pidfd = -1;
        struct progress *progress = run->progress;
        struct clone_args args = {
                .flags = CLONE_PARENT | CLONE_PIDFD | CLONE_CLEAR_SIGHAND | CLONE_PARENT_SETTID | CLONE_VM | CLONE_VFORK,
                .pidfd = (uint64_t)(uintptr_t)&pidfd,
                .parent_tid = (uint64_t)(uintptr_t)&progress->helper,
                .stack = (uint64_t)(uintptr_t)helper_stack,
                .stack_size = STACK_SIZE,
        };
        if (launcher->program < 0)
                return launcher->program;
        if (step->at >= 0) {
                int cgroup = slot_fd(run, step->at);
                if (cgroup < 0)
                        return cgroup;
                args.flags |= CLONE_INTO_CGROUP;
                args.cgroup = (uint64_t)cgroup;
        }
        long r = sys4(__NR_socketpair, AF_UNIX_, SOCK_SEQPACKET_CLOEXEC, 0, sockets);
        if (r < 0)
                return (int)r;
        struct helper helper = {launcher, progress, sockets[1]};
        progress->error = 0;
        r = ct_clone3(&args, sizeof args, become_helper, &helper);
        close_fd(sockets[1]);
        if (r > 0) {
                __atomic_store_n(&progress->helper, (int32_t)r, __ATOMIC_SEQ_CST);
                r = progress->error ? -progress->error : attend(launcher, run, sockets[0], pidfd);
                /* Closed first: what waits for our word gives up. */
                close_fd(sockets[0]);
                if (r < 0)
                        sys4(__NR_pidfd_send_signal, pidfd, SIGKILL_, 0, 0);
                await_death(run, pidfd);
                close_fd(pidfd);
        } else {
                close_fd(sockets[0]);
        }
        return (int)r;
}

_Noreturn void enter_main(void)
{
        static struct run run;
        static struct progress progress;
        struct brief brief;
        int fds[CT_PASSED_MAX], count;
        name_process(ENTER_NAME);
        if (sys3(__NR_fcntl, SPAWNER_SOCKET, F_SETFD, FD_CLOEXEC) < 0 ||
            receive_message(SPAWNER_SOCKET, &brief, sizeof brief, fds, &count, 0) != sizeof brief || count < 1)
                quit(111);
        follow(brief.parent);
        int r = run_open(&run, fds[0], &progress);
        if (r == 0) {
                run.spawner = SPAWNER_SOCKET;
                for (int i = 1; i < count; i++)
                        run.slots[brief.slots[i]] = fds[i];
                r = run_prepare_exec(&run);
        }
        close_fd(fds[0]);
        if (r == 0)
                r = run_phase(&run, PHASE_CHILD);
        struct entered failure = {.step = progress.step, .error = -(r < 0 ? r : -ENOEXEC)};
        send_message(SPAWNER_SOCKET, &failure, sizeof failure, 0, 0, 0);
        quit(127);
}
