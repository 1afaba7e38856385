/* containers.c: the table of containers, from a spawner's report to the end of their removal. */
#include "supervisor.h"
#include <linux/wait.h>

#define CONTAINERS_MAX 8192
#define JANITORS_MOST 3                /* that one removal may cost */

enum state { FREE, HELD /* before exec, until told */, RUNNING, FAILED /* reap only */, WAITING /* for the janitor */, REMOVING };

struct container {
        uint64_t id;
        uint64_t deadline;             /* CLOCK_MONOTONIC, 0 = none */
        uint64_t executed_ns;
        int32_t pidfd, plan;
        int32_t pid, done;             /* done: of a held child, its pipe */
        uint64_t deadline_ns, sent_ns, received_ns;
        uint32_t deadline_hit, step, going;
        uint32_t detached;             /* it outlives us */
        int32_t beside[CT_BESIDE];
        uint32_t forced;               /* its teardown was asked for while it runs */
        uint32_t deserted;             /* so many janitors died while they had its removal */
        enum state state;
};

static struct container containers[CONTAINERS_MAX];
static uint32_t used;                  /* containers[used…] were never used */
static int removals_sent, waiting, alive, outliving;
uint64_t next_deadline;

static struct container *find_container(uint64_t id)
{
        for (uint32_t i = 0; i < used; i++)
                if (containers[i].state != FREE && containers[i].id == id)
                        return &containers[i];
        return 0;
}

static struct container *take_container(uint64_t id, int plan, int pidfd, enum state state)
{
        uint32_t i = 0;
        while (i < used && containers[i].state != FREE)
                i++;
        if (i == CONTAINERS_MAX)
                return 0;
        if (i == used)
                used++;
        containers[i] = (struct container){.id = id, .pidfd = pidfd, .plan = plan, .done = -1, .state = state};
        alive++;
        if (pidfd >= 0)
                watch(pidfd, WATCH_CONTAINER, i, EPOLLIN);
        return &containers[i];
}

static void release_container(struct container *container)
{
        if (container->plan >= 0)
                close_fd(container->plan);
        if (container->pidfd >= 0)
                close_watched(container->pidfd);
        container->state = FREE;
        alive--;
        outliving -= (int)container->detached;
        while (used > 0 && containers[used - 1].state == FREE)
                used--;
}

static void kill_container(const struct container *container, int signal)
{
        if (container->pidfd >= 0)
                sys4(__NR_pidfd_send_signal, container->pidfd, signal, 0, 0);
}

static void emit_removed(struct launcher *launcher, uint64_t id, uint32_t step, int error)
{
        struct ct_removed removed = {{sizeof removed, CT_REMOVED, id}, step, error};
        emit_event(launcher, &removed.event);
}

/* Hands containers that are gone to the janitor, as many as its socket is sure to take. */
static void send_removals(struct launcher *launcher)
{
        for (uint32_t i = 0; waiting > 0 && i < used && removals_sent < CT_REMOVALS_MAX; i++) {
                struct container *container = &containers[i];
                if (container->state != WAITING)
                        continue;
                struct removal removal = {.id = container->id, .index = i};
                if (send_message(launcher->removals[0], &removal, sizeof removal, &container->plan, 1, MSG_DONTWAIT_) < 0)
                        return;
                container->state = REMOVING; /* its plan is kept, should the janitor die */
                waiting--;
                removals_sent++;
        }
}

static void remove_later(struct launcher *launcher, struct container *container)
{
        if (container->done >= 0)
                close_watched(container->done);
        container->done = -1;
        end_beside(container->beside);
        if (container->plan < 0) {
                release_container(container);    /* its plan was lost with its spawner: the caller tears down */
                return;
        }
        if (container->pidfd >= 0)
                close_watched(container->pidfd);
        container->pidfd = -1;
        container->state = WAITING;
        waiting++;
        send_removals(launcher);
}

/* The exit phase of a plan: small files of the container's cgroup, read before the cgroup goes. */
uint32_t read_exit_reports(int plan, char *to, uint32_t room)
{
        static struct run run;
        static struct progress progress;
        uint32_t length = 0;
        if (run_open(&run, plan, &progress) < 0)
                return 0;
        for (uint32_t i = phase_start(&run, PHASE_EXIT); i < run.plan->end[PHASE_EXIT]; i++) {
                const struct ct_step *step = &run.steps[i];
                if (step->op != CT_OP_REPORT || length + 8 + 4096 > room)
                        continue;
                long fd = sys4(__NR_openat, AT_FDCWD, step_s1(&run, step), O_RDONLY | O_CLOEXEC, 0);
                if (fd < 0)
                        continue;
                long n = sys3(__NR_read, fd, to + length + 8, 4096);
                close_fd((int)fd);
                if (n < 0)
                        continue;
                uint32_t head[2] = {(uint32_t)step->x, (uint32_t)n};
                for (int k = 0; k < 8; k++)
                        to[length + (uint32_t)k] = ((char *)head)[k];
                length += 8 + (((uint32_t)n + 7) & ~7u);
        }
        run_close(&run);
        return length;
}

void start_failed(struct launcher *launcher, uint64_t id, uint32_t step, int error, int lost)
{
        struct ct_failed failed = {{sizeof failed, CT_FAILED, id}, step, error, (uint32_t)lost, 0};
        emit_event(launcher, &failed.event);
}

static void set_deadline(struct container *container)
{
        if (container->deadline_ns == 0)
                return;
        container->deadline = container->executed_ns + container->deadline_ns;
        if (next_deadline == 0 || container->deadline < next_deadline)
                next_deadline = container->deadline;
}

/* The pipe of a held child: "g" when it goes on, then a record when something failed; its end is exec, or death without "g". Only
 * the end wakes us: what comes before it can wait, and the child has better use for the processor. */
static void read_held(struct launcher *launcher, struct container *container)
{
        struct late_failure late = {0};
        long n = sys3(__NR_read, container->done, &late, 1);
        if (n == 1 && *(char *)&late == 'g') {
                container->going = 1;
                n = sys3(__NR_read, container->done, &late, 1);
        }
        if (n == -EAGAIN || n == -EINTR)
                return;
        if (n == 1)
                n += sys3(__NR_read, container->done, (char *)&late + 1, sizeof late - 1);
        close_watched(container->done);
        container->done = -1;
        if (n == sizeof late || !container->going) {
                container->state = FAILED;
                start_failed(launcher, container->id, n > 0 ? late.step : container->step, n > 0 ? late.error : ECANCELED, 0);
                return;
        }
        struct ct_started started = {{sizeof started, CT_STARTED, container->id}, container->pid, 0,
                                     container->sent_ns, container->received_ns, now_ns()};
        container->executed_ns = started.executed_ns;
        container->state = RUNNING;
        set_deadline(container);
        emit_event(launcher, &started.event);
}

void container_exited(struct launcher *launcher, uint32_t index)
{
        struct container *container = &containers[index];
        static struct {
                struct ct_exited exited;
                char reports[REPORTS_SIZE];
        } event;
        struct exit_info info = {0};
        struct rusage usage = {0};
        if (container->state == FREE || container->pidfd < 0)
                return;
        long r = sys5(__NR_waitid, P_PIDFD, container->pidfd, &info, WEXITED | WNOHANG | __WALL, &usage);
        if (r < 0 && r != -ECHILD)
                return;
        if (r == 0 && info.pid == 0)
                return;
        /* Whatever its pipe still says comes first. */
        for (int reads = 0; reads < 3 && container->state == HELD && container->done >= 0; reads++)
                read_held(launcher, container);
        if (container->state == HELD)
                start_failed(launcher, container->id, container->step, ECANCELED, 0);
        if (container->state == RUNNING) {
                event.exited = (struct ct_exited){
                        .event = {0, CT_EXITED, container->id},
                        .code = info.code,
                        .status = info.status,
                        .deadline = container->deadline_hit,
                        .executed_ns = container->executed_ns,
                        .exited_ns = now_ns(),
                        .user_us = (uint64_t)usage.ru_utime.tv_sec * 1000000u + (uint64_t)usage.ru_utime.tv_usec,
                        .system_us = (uint64_t)usage.ru_stime.tv_sec * 1000000u + (uint64_t)usage.ru_stime.tv_usec,
                        .peak_rss_kb = (uint64_t)usage.ru_maxrss,
                };
                event.exited.reports = read_exit_reports(container->plan, event.reports, sizeof event.reports);
                event.exited.event.length = (uint32_t)sizeof event.exited + event.exited.reports;
                emit_event(launcher, &event.exited.event);
        }
        remove_later(launcher, container);
}

/* False when there was none. */
int take_report(struct launcher *launcher)
{
        static struct report report;
        static struct {
                struct ct_started started;
                uint32_t trace[CT_STEPS_MAX];
        } event;
        int fds[CT_PASSED_MAX], count;
        long n = receive_message(launcher->reports[0], &report, sizeof report, fds, &count, MSG_DONTWAIT_);
        if (n < (long)offsetof(struct report, trace))
                return 0;
        int plan = count > 0 ? fds[0] : -1, pidfd = count > 1 ? fds[1] : -1, done = count > 2 ? fds[2] : -1;
        start_reported(launcher, report.id);
        reap_helper(report.helper);
        struct container *container = take_container(report.id, plan, pidfd, report.error ? FAILED : report.held ? HELD : RUNNING);
        if (!container) {
                if (done >= 0)
                        close_fd(done);
                if (pidfd >= 0)
                        sys4(__NR_pidfd_send_signal, pidfd, SIGKILL_, 0, 0);
                end_beside(report.beside);
                start_failed(launcher, report.id, report.step, ENFILE, 1);
                return 1;
        }
        __builtin_memcpy(container->beside, report.beside, sizeof report.beside);
        if (report.error) {
                start_failed(launcher, report.id, report.step, report.error, 0);
                kill_container(container, SIGKILL_);
                if (pidfd < 0)
                        remove_later(launcher, container);
                return 1;
        }
        container->pid = report.pid;
        container->detached = (report.flags & CT_DETACHED) != 0;
        if (container->detached)
                outliving++;
        container->step = report.step;
        container->deadline_ns = report.deadline_ns;
        container->sent_ns = report.sent_ns;
        container->received_ns = report.received_ns;
        if (closing && !container->detached)
                kill_container(container, SIGKILL_);
        if (report.held) {
                struct ct_event prepared = {sizeof prepared, CT_PREPARED, report.id};
                container->done = done;
                watch(done, WATCH_HELD, (uint32_t)(container - containers), 0);
                emit_event(launcher, &prepared);
                return 1;
        }
        container->executed_ns = report.executed_ns;
        set_deadline(container);
        event.started = (struct ct_started){
                .event = {(uint32_t)(sizeof event.started + report.steps * 4), CT_STARTED, report.id},
                .pid = report.pid,
                .steps = report.steps,
                .sent_ns = report.sent_ns,
                .received_ns = report.received_ns,
                .executed_ns = report.executed_ns,
        };
        for (uint32_t i = 0; i < report.steps; i++)
                event.trace[i] = report.trace[i];
        emit_event(launcher, &event.started.event);
        return 1;
}

/* What was reported counts, whatever has become of the spawner since. */
void take_reports(struct launcher *launcher)
{
        while (has_room() && take_report(launcher))
                ;
}

/* Another janitor goes on with what this one had not answered; one that never comes to an end is given up. */
static void janitor_died(struct launcher *launcher)
{
        close_watched(launcher->removals[0]);
        sys4(__NR_wait4, launcher->janitor, 0, __WALL, 0);
        if (start_janitor(launcher) < 0)
                quit(111);             /* no processes to be had: the next open removes */
        watch(launcher->removals[0], WATCH_REMOVALS, 0, EPOLLIN);
        removals_sent = 0;
        for (uint32_t i = 0; i < used; i++) {
                struct container *container = &containers[i];
                container->forced = 0;
                if (container->state != REMOVING)
                        continue;
                if (++container->deserted < JANITORS_MOST) {
                        container->state = WAITING;
                        waiting++;
                } else {
                        emit_removed(launcher, container->id, 0, ECHILD);
                        release_container(container);
                }
        }
        send_removals(launcher);
}

void take_removal(struct launcher *launcher)
{
        struct removal removal;
        int fds[CT_PASSED_MAX], count;
        long n = receive_message(launcher->removals[0], &removal, sizeof removal, fds, &count, MSG_DONTWAIT_);
        if (n == 0 || n == -ECONNRESET)
                janitor_died(launcher);
        if (n != sizeof removal)
                return;
        removals_sent--;
        /* Otherwise it was forced, and is removed once more when it has ended. */
        if (removal.index < used && containers[removal.index].id == removal.id && containers[removal.index].state == REMOVING) {
                release_container(&containers[removal.index]);
                emit_removed(launcher, removal.id, removal.step, removal.error);
        }
        send_removals(launcher);
}

void check_deadlines(uint64_t now)
{
        if (next_deadline == 0 || now < next_deadline)
                return;
        next_deadline = 0;
        for (uint32_t i = 0; i < used; i++) {
                struct container *container = &containers[i];
                if (container->state != RUNNING || container->deadline == 0)
                        continue;
                if (container->deadline <= now) {
                        container->deadline = 0;
                        container->deadline_hit = 1;
                        kill_container(container, SIGKILL_);
                } else if (next_deadline == 0 || container->deadline < next_deadline) {
                        next_deadline = container->deadline;
                }
        }
}

/* Its spawner is lost, and with it the plan. */
void reap_later(uint64_t id, int pidfd)
{
        if (!take_container(id, -1, pidfd, FAILED))
                close_fd(pidfd);
}

void tear_down(struct launcher *launcher, uint64_t id, int plan)
{
        if (plan < 0 || !take_container(id, plan, -1, WAITING)) {
                if (plan >= 0)
                        close_fd(plan);
                emit_removed(launcher, id, 0, ENFILE);
                return;
        }
        waiting++;
        send_removals(launcher);
}

/* False when there is no such container; one that is about to end is left alone. */
int signal_container(uint64_t id, int signal)
{
        struct container *container = find_container(id);
        if (container && (container->state == RUNNING || container->state == HELD))
                kill_container(container, signal);
        return container != 0;
}

void kill_containers(void)
{
        for (uint32_t i = 0; i < used; i++)
                if ((containers[i].state == RUNNING || containers[i].state == HELD) && !containers[i].detached)
                        kill_container(&containers[i], SIGKILL_);
}

/* A command goes alone: the container that it is in stands on. */
static void release_command(const struct container *container)
{
        static struct run run;
        static struct progress progress;
        if (run_open(&run, container->plan, &progress) < 0)
                return;
        release_entered(&run, container->pid);
        run_close(&run);
}

/* What SIGKILL has not ended yet stands still in a frozen cgroup of v1: the teardown of a container kills and thaws it. */
void force_containers(struct launcher *launcher)
{
        for (uint32_t i = 0; i < used && removals_sent < CT_REMOVALS_MAX; i++) {
                struct container *container = &containers[i];
                struct removal removal = {.id = container->id, .index = i};
                if ((container->state != RUNNING && container->state != HELD) || container->detached || container->forced)
                        continue;
                release_command(container);
                if (send_message(launcher->removals[0], &removal, sizeof removal, &container->plan, 1, MSG_DONTWAIT_) < 0)
                        return;
                container->forced = 1;
                removals_sent++;
        }
}

void give_deadline(uint64_t id, uint64_t deadline_ns)
{
        struct container *container = find_container(id);
        if (!container)
                return;
        container->deadline_ns = deadline_ns;
        if (container->state == RUNNING)
                set_deadline(container);
}

void container_spoke(struct launcher *launcher, uint32_t index)
{
        if (containers[index].state == HELD && containers[index].done >= 0)
                read_held(launcher, &containers[index]);
}

int containers_left(void)
{
        return alive - outliving;
}
