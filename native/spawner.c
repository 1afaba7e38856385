/* spawner.c: takes one start request after another and carries out its plan. Disposable: whatever hangs here, hangs only here;
 * the supervisor kills it and starts another. The container becomes the supervisor's child (CLONE_PARENT), not ours. */
#include "launcher.h"
#include <linux/poll.h>

#define STACK_SIZE (128 * 1024)
#define IDLE_NS 5000000

static char child_stack[STACK_SIZE] __attribute__((aligned(64)));
static struct run parent_run, child_run;

static void child_failed(struct run *run, int error)
{
        struct late_failure late = {1, run->progress->step, -error};
        if (run->held)
                sys3(__NR_write, run->done, &late, sizeof late);
        else
                run->progress->error = -error;
}

/* Runs in the new process until exec. It shares our memory (unless forked) and allocates nothing. */
static int become_container(void *argument)
{
        struct run *run = argument;
        if (run->gate[0] >= 0) {
                char go;
                close_fd(run->gate[1]);
                long n = sys3(__NR_read, run->gate[0], &go, 1);
                if (n != 1) {
                        child_failed(run, -ECANCELED);
                        return 127;
                }
        }
        int r = run_phase(run, PHASE_CHILD);
        child_failed(run, r < 0 ? r : -ENOEXEC);
        return 127;
}

/* Without shared memory the parent isn't stopped until exec: it learns of exec or death from the end of this pipe, whose
 * writing end only the child holds, close-on-exec. 1: the child holds. */
static int wait_for_exec(int pipe)
{
        char none;
        long n;
        do
                n = sys3(__NR_read, pipe, &none, 1);
        while (n == -EINTR);
        return (int)n;
}

/* pidns of another container: children go there from now on. A spawner that cannot come back is of no more use. */
static int aim_at(const struct run *run, int64_t slot)
{
        int ns = slot_fd(run, slot);
        return ns < 0 ? ns : (int)sys2(__NR_setns, ns, CLONE_NEWPID);
}

static void aim_home(int own)
{
        if (sys2(__NR_setns, own, CLONE_NEWPID) < 0)
                quit(1);
        close_fd(own);
}

static int clone_child(struct run *run, const struct ct_step *step)
{
        int forked = (step->y & CT_CLONE_FORK) != 0, done[2] = {-1, -1};
        struct progress *progress = run->progress;
        struct clone_args args = {
                .flags = step->x | CLONE_PARENT | CLONE_PIDFD | CLONE_CLEAR_SIGHAND | CLONE_PARENT_SETTID,
                .pidfd = (uint64_t)(uintptr_t)&run->pidfd,
                .parent_tid = (uint64_t)(uintptr_t)&progress->pid,
        };
        if (step->at >= 0) {
                int cgroup = slot_fd(run, step->at);
                if (cgroup < 0)
                        return cgroup;
                args.flags |= CLONE_INTO_CGROUP;
                args.cgroup = (uint64_t)cgroup;
        }
        long r = 0;
        if (forked) {
                r = sys2(__NR_pipe2, done, O_CLOEXEC);
                if (r == 0)
                        r = sys2(__NR_pipe2, run->gate, O_CLOEXEC);
                if (r < 0)
                        return (int)r;
        } else {
                args.flags |= CLONE_VM | CLONE_VFORK;
                args.stack = (uint64_t)(uintptr_t)child_stack;
                args.stack_size = STACK_SIZE;
        }
        int own = -1;
        if (step->out >= 0) {
                own = (int)sys4(__NR_openat, slot_fd(run, CT_SLOT_PROC), "self/ns/pid", O_RDONLY | O_CLOEXEC, 0);
                r = own < 0 ? own : aim_at(run, step->out);
        }
        /* Should the child be killed before it can say why, this stays. */
        progress->error = ECHILD;
        child_run = *run;
        child_run.done = done[1];
        if (r == 0)
                r = ct_clone3(&args, sizeof args, become_container, &child_run);
        if (own >= 0)
                aim_home(own);
        if (r < 0) {
                progress->error = (int32_t)-r;
                run->pidfd = -1;
                if (done[1] >= 0)
                        close_fd(done[1]);
        } else if (forked) {
                close_fd(done[1]);
                close_fd(run->gate[0]);
                run->gate[0] = -1;
                int maps = run_phase(run, PHASE_PARENT);
                if (maps == 0)
                        sys3(__NR_write, run->gate[1], "", 1);
                close_fd(run->gate[1]);
                run->gate[1] = -1;
                if (wait_for_exec(done[0]) == 1) {
                        run->held = 1;
                        run->done = done[0];
                        /* The supervisor reads it, and never waits. */
                        sys3(__NR_fcntl, done[0], F_SETFL, O_RDONLY | O_NONBLOCK);
                        done[0] = -1;
                        progress->error = 0;
                }
                if (maps < 0)
                        progress->error = -maps;
        }
        if (done[0] >= 0)
                close_fd(done[0]);
        if (run->gate[0] >= 0)
                close_fd(run->gate[0]);
        return progress->error ? -progress->error : 0;
}

int start_container(struct launcher *launcher, struct run *run)
{
        uint32_t end = run->plan->end[PHASE_HOST];
        const struct ct_step *last = end > 0 ? &run->steps[end - 1] : 0;
        if (!last || (last->op != CT_OP_CLONE && last->op != CT_OP_ENTER))
                return -EINVAL;
        int r = run_prepare_exec(run);
        if (r == 0)
                r = run_phase(run, PHASE_HOST);
        if (r == 0)
                r = last->op == CT_OP_CLONE ? clone_child(run, last) : enter_container(launcher, run, last);
        if (r == 0)
                r = run_phase(run, PHASE_STARTED);
        return r;
}

static int was_aborted(struct shared *shared, uint64_t id)
{
        for (int i = 0; i < CT_ABORTED_MAX; i++) {
                uint64_t wanted = id;
                if (__atomic_compare_exchange_n(&shared->aborted[i], &wanted, 0, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
                        return 1;
        }
        return 0;
}

static void serve(struct launcher *launcher, struct progress *progress, const struct ct_request *request, int *fds, int count)
{
        static struct report report;
        struct run *run = &parent_run;
        report.id = request->id;
        report.flags = request->flags;
        report.deadline_ns = request->deadline_ns;
        report.sent_ns = request->sent_ns;
        report.received_ns = progress->received_ns = now_ns();
        report.steps = 0;
        progress->pid = progress->error = progress->helper = 0;
        for (int i = 0; i < CT_BESIDE; i++)
                progress->beside[i] = 0;
        progress->step = 0;
        __atomic_store_n(&progress->id, request->id, __ATOMIC_SEQ_CST);

        int r = count > 0 ? run_open(run, fds[0], progress) : -EINVAL;
        if (r == 0) {
                run->tracing = (request->flags & CT_TRACE) != 0;
                run->slots[CT_SLOT_EMPTY_NS] = launcher->empty_namespace;
                run->slots[CT_SLOT_PROC] = launcher->proc;
                run->slots[CT_SLOT_LIFE] = launcher->life[0];
                for (int i = 1; i < count; i++)
                        run->slots[CT_SLOT_PASSED + i - 1] = fds[i];
                if (run->tracing)
                        for (uint32_t i = 0; i < run->count; i++)
                                progress->trace[i] = 0;
                r = was_aborted(launcher->shared, request->id) ? -ECANCELED : start_container(launcher, run);
        }
        report.executed_ns = now_ns();
        report.error = -r;
        report.step = progress->step;
        report.pid = progress->pid;
        report.helper = progress->helper;
        __builtin_memcpy(report.beside, progress->beside, sizeof report.beside);
        if (run->plan && run->tracing) {
                report.steps = run->count;
                for (uint32_t i = 0; i < run->count; i++)
                        report.trace[i] = progress->trace[i];
        }
        report.held = run->plan && r == 0 && run->held;
        int passed[3] = {fds[0], run->plan ? run->pidfd : -1, report.held ? run->done : -1};
        size_t length = offsetof(struct report, trace) + report.steps * sizeof report.trace[0];
        uint64_t own = request->id;
        if (!__atomic_compare_exchange_n(&progress->id, &own, own | CT_PROGRESS_REPORTED, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
                quit(0);               /* the supervisor has answered and killed us */
        send_message(launcher->reports[1], &report, length, passed, count == 0 ? 0 : passed[1] < 0 ? 1 : passed[2] < 0 ? 2 : 3, 0);
        if (run->plan && run->done >= 0)
                close_fd(run->done);
        if (run->plan)
                run_close(run);
        else
                for (int i = 1; i < count; i++)
                        close_fd(fds[i]);
        if (count > 0)
                close_fd(fds[0]);
}

/* Whether nothing is asked for a while: long enough for the last start's news to reach whoever waits for it. */
static int is_idle(int requests)
{
        struct pollfd poll = {requests, POLLIN, 0};
        struct ct_timespec patience = {0, IDLE_NS};
        return sys5(__NR_ppoll, &poll, 1, &patience, 0, 8) == 0;
}

_Noreturn void spawner_main(struct launcher *launcher, int number)
{
        const int needed[] = {launcher->requests, launcher->reports[1], launcher->life[0], launcher->empty_namespace, launcher->proc,
                              launcher->program};
        struct progress *progress = &launcher->shared->progress[number];
        name_process("coracle-spawn");
        follow(launcher->self);
        close_all_but(needed, sizeof needed / sizeof *needed);
        for (;;) {
                if (wants_forwarder() && is_idle(launcher->requests))
                        prepare_forwarder(progress);
                struct ct_request request;
                int fds[CT_PASSED_MAX], count;
                long n = receive_message(launcher->requests, &request, sizeof request, fds, &count, 0);
                if (n == -EINTR || n == -EAGAIN)
                        continue;
                if (n <= 0)
                        quit(0);
                if (n != sizeof request || request.version != CT_ABI || request.type != CT_START || request.id == 0) {
                        for (int i = 0; i < count; i++)
                                close_fd(fds[i]);
                        continue;
                }
                serve(launcher, progress, &request, fds, count);
        }
}
