/* monitor-helpers.c: the processes that a monitor forks for what may take its time: a starter carries out a plan, a cleaner tears
 * down. Each reports once, and ends. */
#include "monitor.h"
#include <linux/wait.h>

#define AF_UNIX_ 1
#define SOCK_SEQPACKET_CLOEXEC (5 | O_CLOEXEC)
#define CLEANING_NS 2000000000u        /* as the janitor's patience */

static void open_slots(const struct monitor *m, struct run *run)
{
        run->slots[CT_SLOT_EMPTY_NS] = m->launcher->empty_namespace;
        run->slots[CT_SLOT_PROC] = m->launcher->proc;
        run->slots[CT_SLOT_LIFE] = m->life[0];
}

/* What it makes becomes the monitor's child: clone has CLONE_PARENT. A monitor is forked, not executed: its program is the
 * launcher's, which joining a container takes. */
static _Noreturn void starter_main(struct monitor *m, const struct helper *own, int plan, const int *passed, int count)
{
        static struct run run;
        static struct report report;
        int needed[5 + CT_PASSED_MAX] = {plan, own->socket, m->life[0], m->launcher->empty_namespace, m->launcher->proc};
        for (int i = 0; i < count; i++)
                needed[5 + i] = passed[i];
        name_process("coracle-start");
        close_all_but(needed, 5 + count);
        m->launcher->program = (int)sys4(__NR_openat, m->launcher->proc, "self/exe", O_PATH | O_CLOEXEC, 0);
        int r = run_open(&run, plan, own->progress);
        if (r == 0) {
                open_slots(m, &run);
                for (int i = 0; i < count; i++)
                        run.slots[CT_SLOT_PASSED + i] = passed[i];
                r = start_container(m->launcher, &run);
        }
        report.executed_ns = now_ns();
        report.error = -r;
        report.step = own->progress->step;
        report.pid = own->progress->pid;
        report.helper = own->progress->helper;
        __builtin_memcpy(report.beside, own->progress->beside, sizeof report.beside);
        send_message(own->socket, &report, offsetof(struct report, trace), &run.pidfd, run.plan && run.pidfd >= 0, 0);
        quit(0);
}

/* Every step is fine with what an earlier attempt removed already. */
static _Noreturn void cleaner_main(struct monitor *m, const struct helper *own)
{
        static struct run run;
        static struct progress progress;
        struct ct_said_ended ended = {0};
        const int needed[] = {m->plan, own->socket, m->launcher->proc};
        uint64_t until = now_ns() + CLEANING_NS;
        name_process("coracle-clean");
        close_all_but(needed, sizeof needed / sizeof *needed);
        do {
                ended.error = -run_open(&run, m->plan, &progress);
                if (ended.error == 0) {
                        open_slots(m, &run);
                        run.wait_until = until;
                        run.again = !m->final;
                        ended.error = -run_teardown(&run, &ended.step);
                        run_close(&run);
                }
        } while (ended.error == EBUSY && now_ns() < until);
        send_message(own->socket, &ended, sizeof ended, 0, 0, 0);
        quit(0);
}

/* In the helper 0 with its own end of the socket, in the monitor its pid, or -errno. */
static long fork_helper(const struct monitor *m, struct helper *helper)
{
        int ends[2];
        long pid = sys4(__NR_socketpair, AF_UNIX_, SOCK_SEQPACKET_CLOEXEC, 0, ends);
        if (pid < 0)
                return pid;
        pid = fork_process();
        if (pid == 0)
                follow(m->launcher->self);
        close_fd(ends[pid != 0]);
        helper->socket = ends[pid == 0];
        helper->pid = (int)pid;
        if (pid < 0)
                close_if_open(&helper->socket);
        return pid;
}

static void end_helper(struct helper *helper)
{
        close_if_open(&helper->socket);
        sys4(__NR_wait4, helper->pid, 0, __WALL, 0);
        helper->pid = 0;
}

int fork_starter(struct monitor *m, struct helper *starter, int plan, const int *passed, int count)
{
        long page = sys6(__NR_mmap, 0, sizeof(struct progress), 3, 0x21 /* MAP_SHARED | MAP_ANONYMOUS */, -1, 0);
        if (page < 0 && page > -4096)
                return (int)page;
        starter->progress = (struct progress *)page;
        long pid = fork_helper(m, starter);
        if (pid == 0)
                starter_main(m, starter, plan, passed, count);
        if (pid < 0) {
                sys2(__NR_munmap, starter->progress, sizeof *starter->progress);
                starter->progress = 0;
                return (int)pid;
        }
        return 0;
}

/* What is killed here says so, sooner or later, by its end. */
void kill_starter(const struct helper *starter)
{
        int32_t child = __atomic_load_n(&starter->progress->pid, __ATOMIC_SEQ_CST);
        int32_t joins = __atomic_load_n(&starter->progress->helper, __ATOMIC_SEQ_CST);
        if (child > 0)
                sys2(__NR_kill, child, SIGKILL_);
        if (joins > 0)
                sys2(__NR_kill, -joins, SIGKILL_);
        sys2(__NR_kill, starter->pid, SIGKILL_);
}

int hear_starter(struct helper *starter, struct report *report, int *pidfd)
{
        int fds[CT_PASSED_MAX], count = 0;
        long n = receive_message(starter->socket, report, offsetof(struct report, trace), fds, &count, MSG_DONTWAIT_);
        if (n == -EAGAIN || n == -EINTR)
                return 0;
        end_helper(starter);
        if (n < (long)offsetof(struct report, trace)) {        /* it was killed: what it was at is in its page */
                const struct progress *at = starter->progress;
                *report = (struct report){.error = ECHILD, .step = at->step, .pid = at->pid, .helper = at->helper};
                __builtin_memcpy(report->beside, at->beside, sizeof at->beside);
                if (report->pid > 0)
                        fds[count++] = (int)sys2(__NR_pidfd_open, report->pid, 0);
        }
        *pidfd = count > 0 ? fds[0] : -1;
        sys2(__NR_munmap, starter->progress, sizeof *starter->progress);
        starter->progress = 0;
        return 1;
}

int fork_cleaner(struct monitor *m, struct helper *cleaner)
{
        long pid = fork_helper(m, cleaner);
        if (pid == 0)
                cleaner_main(m, cleaner);
        return pid < 0 ? (int)pid : 0;
}

int hear_cleaner(struct helper *cleaner, struct ct_said_ended *ended)
{
        int fds[CT_PASSED_MAX], count = 0;
        long n = receive_message(cleaner->socket, ended, sizeof *ended, fds, &count, MSG_DONTWAIT_);
        if (n == -EAGAIN || n == -EINTR)
                return 0;
        if (n != sizeof *ended)
                *ended = (struct ct_said_ended){.error = ECHILD};
        end_helper(cleaner);
        return 1;
}
