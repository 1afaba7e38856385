/* supervisor.c: parent of every container. It never blocks: it waits for reports of the spawners, exits of containers,
 * deadlines and requests, and tells Node. What can take time is done by the spawners and the janitor. */
#include "launcher.h"
#include <linux/eventpoll.h>
#include <linux/prctl.h>
#include <linux/wait.h>

#define CONTAINERS_MAX 8192
#define BACKLOG_SIZE (1 << 20)
#define REPORTS_SIZE 16384
#define EVENT_MAX (sizeof(struct ct_exited) + REPORTS_SIZE + CT_STEPS_MAX * 4)
#define ABORT_PATIENCE_NS 50000000u    /* how long a killed start may take to say so before its spawner is killed too */

enum state { FREE, HELD /* before exec, until told */, RUNNING, FAILED /* reap only */, WAITING /* for the janitor */, REMOVING };

struct container {
        uint64_t id;
        uint64_t deadline;             /* CLOCK_MONOTONIC, 0 = none */
        uint64_t executed_ns;
        int32_t pidfd, plan;
        int32_t pid, done;             /* done: of a held child, its pipe */
        uint64_t deadline_ns, sent_ns, received_ns;
        uint32_t deadline_hit, step, going;
        enum state state;
};

struct spawner {
        int32_t pid, pidfd;
        int32_t replaced;              /* killed by us: its start was answered */
        int32_t orphan;                /* the child that it left and that we took on */
};

struct abort {
        uint64_t id, until;
};

/* siginfo_t as the kernel lays it out on 64-bit machines */
struct exit_info {
        int32_t signal, error, code, pad, pid;
        uint32_t uid;
        int32_t status;
        int32_t rest[25];
};

enum watch { WATCH_CONTROL = 1, WATCH_REPORTS, WATCH_REMOVALS, WATCH_EVENTS, WATCH_CONTAINER, WATCH_HELD, WATCH_SPAWNER };

static struct container containers[CONTAINERS_MAX];
static uint32_t used;                  /* containers[used…] were never used */
static struct spawner spawners[CT_SPAWNERS_MAX];
static struct abort aborts[CT_ABORTED_MAX];
static char backlog[BACKLOG_SIZE];
static uint32_t backlog_start, backlog_end;
static int epoll, closing, removals_sent, waiting, alive;
static uint64_t next_deadline;

static void watch(int fd, enum watch what, uint32_t index, uint32_t events)
{
        struct epoll_event event = {.events = events, .data = (uint64_t)what << 32 | index};
        sys4(__NR_epoll_ctl, epoll, EPOLL_CTL_ADD, fd, &event);
}

/* Closing alone does not end a watch while another process has the same descriptor open: a spawner may. */
static void close_watched(int fd)
{
        sys4(__NR_epoll_ctl, epoll, EPOLL_CTL_DEL, fd, 0);
        close_fd(fd);
}

static void watch_events(struct launcher *launcher, uint32_t events)
{
        struct epoll_event event = {.events = events, .data = (uint64_t)WATCH_EVENTS << 32};
        sys4(__NR_epoll_ctl, epoll, EPOLL_CTL_MOD, launcher->events, &event);
}

static void flush(struct launcher *launcher)
{
        while (backlog_start < backlog_end) {
                long n = sys6(__NR_sendto, launcher->events, SYS_ARG(backlog + backlog_start), backlog_end - backlog_start,
                              MSG_DONTWAIT_ | 0x4000, 0, 0);
                if (n == -EINTR)
                        continue;
                if (n < 0 && n != -EAGAIN)
                        backlog_start = backlog_end;   /* nobody reads any more */
                if (n <= 0)
                        break;
                backlog_start += (uint32_t)n;
        }
        if (backlog_start == backlog_end)
                backlog_start = backlog_end = 0;
        watch_events(launcher, backlog_end > 0 ? EPOLLOUT : 0);
}

/* Room for one more event of any size; while there is none, nothing is taken that could cause one. */
static int has_room(void)
{
        return backlog_end + EVENT_MAX <= BACKLOG_SIZE;
}

static void emit(struct launcher *launcher, struct ct_event *event)
{
        const char *bytes = (const char *)event;
        uint32_t length = event->length, sent = 0;
        if (backlog_end == 0) {
                long n = sys6(__NR_sendto, launcher->events, SYS_ARG(bytes), length, MSG_DONTWAIT_ | 0x4000, 0, 0);
                if (n > 0)
                        sent = (uint32_t)n;
                else if (n != -EAGAIN)
                        return;
        }
        if (sent == length)
                return;
        for (; sent < length; sent++)
                backlog[backlog_end++] = bytes[sent];
        watch_events(launcher, EPOLLOUT);
}

static struct container *find(uint64_t id)
{
        for (uint32_t i = 0; i < used; i++)
                if (containers[i].state != FREE && containers[i].id == id)
                        return &containers[i];
        return 0;
}

static struct container *take(uint64_t id, int plan, int pidfd, enum state state)
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

static void release(struct container *container)
{
        if (container->plan >= 0)
                close_fd(container->plan);
        if (container->pidfd >= 0)
                close_watched(container->pidfd);
        container->state = FREE;
        alive--;
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
        emit(launcher, &removed.event);
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
                close_fd(container->plan);
                container->plan = -1;
                container->state = REMOVING;
                waiting--;
                removals_sent++;
        }
}

static void remove_later(struct launcher *launcher, struct container *container)
{
        if (container->done >= 0)
                close_watched(container->done);
        container->done = -1;
        if (container->plan < 0) {
                release(container);    /* its plan was lost with its spawner: the caller tears down */
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
static uint32_t read_reports(int plan, char *to, uint32_t room)
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

static void start_failed(struct launcher *launcher, uint64_t id, uint32_t step, int error, int lost)
{
        struct ct_failed failed = {{sizeof failed, CT_FAILED, id}, step, error, (uint32_t)lost, 0};
        emit(launcher, &failed.event);
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
        emit(launcher, &started.event);
}

static void container_exited(struct launcher *launcher, struct container *container)
{
        static struct {
                struct ct_exited exited;
                char reports[REPORTS_SIZE];
        } event;
        struct exit_info info = {0};
        struct rusage usage = {0};
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
                event.exited.reports = read_reports(container->plan, event.reports, sizeof event.reports);
                event.exited.event.length = (uint32_t)sizeof event.exited + event.exited.reports;
                emit(launcher, &event.exited.event);
        }
        remove_later(launcher, container);
}

/* From here on the start is the container table's affair, not its spawner's. */
static void clear_reported(struct launcher *launcher, uint64_t id)
{
        for (int i = 0; i < CT_SPAWNERS_MAX; i++) {
                uint64_t reported = id | CT_PROGRESS_REPORTED;
                __atomic_compare_exchange_n(&launcher->shared->progress[i].id, &reported, 0, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
        }
}

/* False when there was none. */
static int take_report(struct launcher *launcher)
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
        for (int i = 0; i < CT_ABORTED_MAX; i++)
                if (aborts[i].id == report.id)
                        aborts[i].id = 0;
        clear_reported(launcher, report.id);
        struct container *container = take(report.id, plan, pidfd, report.error ? FAILED : report.held ? HELD : RUNNING);
        if (!container) {
                if (done >= 0)
                        close_fd(done);
                if (pidfd >= 0)
                        sys4(__NR_pidfd_send_signal, pidfd, SIGKILL_, 0, 0);
                start_failed(launcher, report.id, report.step, ENFILE, 1);
                return 1;
        }
        if (report.error) {
                start_failed(launcher, report.id, report.step, report.error, 0);
                kill_container(container, SIGKILL_);
                if (pidfd < 0)
                        remove_later(launcher, container);
                return 1;
        }
        container->pid = report.pid;
        container->step = report.step;
        container->deadline_ns = report.deadline_ns;
        container->sent_ns = report.sent_ns;
        container->received_ns = report.received_ns;
        if (closing)
                kill_container(container, SIGKILL_);
        if (report.held) {
                struct ct_event prepared = {sizeof prepared, CT_PREPARED, report.id};
                container->done = done;
                watch(done, WATCH_HELD, (uint32_t)(container - containers), 0);
                emit(launcher, &prepared);
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
        emit(launcher, &event.started.event);
        return 1;
}

/* What was reported counts, whatever has become of the spawner since. */
static void take_reports(struct launcher *launcher)
{
        while (has_room() && take_report(launcher))
                ;
}

static void take_removal(struct launcher *launcher)
{
        struct removal removal;
        int fds[CT_PASSED_MAX], count;
        if (receive_message(launcher->removals[0], &removal, sizeof removal, fds, &count, MSG_DONTWAIT_) != sizeof removal)
                return;
        removals_sent--;
        if (removal.index < used && containers[removal.index].id == removal.id && containers[removal.index].state == REMOVING)
                release(&containers[removal.index]);
        emit_removed(launcher, removal.id, removal.step, removal.error);
        send_removals(launcher);
}

static uint64_t start_of(const struct progress *progress)
{
        return __atomic_load_n(&progress->id, __ATOMIC_SEQ_CST) & CT_PROGRESS_ID;
}

static int spawner_of(const struct launcher *launcher, uint64_t id)
{
        for (int i = 0; i < CT_SPAWNERS_MAX; i++)
                if (start_of(&launcher->shared->progress[i]) == id)
                        return i;
        return -1;
}

static void add_spawner(struct launcher *launcher)
{
        for (int i = 0; i < CT_SPAWNERS_MAX; i++) {
                if (spawners[i].pid != 0 || launcher->shared->progress[i].id != 0)
                        continue;
                long pid = start_spawner(launcher, i);
                if (pid < 0)
                        return;
                spawners[i].pid = (int32_t)pid;
                spawners[i].pidfd = (int32_t)sys2(__NR_pidfd_open, pid, 0);
                watch(spawners[i].pidfd, WATCH_SPAWNER, (uint32_t)i, EPOLLIN);
                return;
        }
}

/* Aborts a start that a spawner works at; false when none does. */
static int abort_in_spawner(struct launcher *launcher, uint64_t id)
{
        int i = spawner_of(launcher, id);
        if (i < 0)
                return 0;
        struct progress *progress = &launcher->shared->progress[i];
        __atomic_store_n(&progress->aborted, id, __ATOMIC_SEQ_CST);
        /* The spawner may be at the next start by now. If the page is still this start's after the pid was read, so is the pid;
         * and it stays its child's, which is ours and unreaped until we have taken the report. */
        int32_t pid = __atomic_load_n(&progress->pid, __ATOMIC_SEQ_CST);
        if (pid > 0 && start_of(progress) == id)
                sys2(__NR_kill, pid, SIGKILL_);
        for (int k = 0; k < CT_ABORTED_MAX; k++)
                if (aborts[k].id == 0) {
                        aborts[k] = (struct abort){id, now_ns() + ABORT_PATIENCE_NS};
                        break;
                }
        return 1;
}

/* For a start that no spawner has taken yet, or has taken in this moment. */
static uint64_t *note_abort(struct launcher *launcher, uint64_t id)
{
        for (int k = 0; k < CT_ABORTED_MAX; k++) {
                uint64_t *note = &launcher->shared->aborted[k], none = 0;
                if (__atomic_compare_exchange_n(note, &none, id, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
                        return note;
        }
        return 0;
}

/* A start is given up: its child is killed; a spawner that then still says nothing is killed and replaced. The second look is
 * for a spawner that took the start before it could see the note. */
static void abort_start(struct launcher *launcher, uint64_t id)
{
        uint64_t *note = 0;
        for (int look = 0; look < 2; look++) {
                int known = abort_in_spawner(launcher, id);
                take_reports(launcher);
                struct container *container = find(id);
                if (container)
                        kill_container(container, SIGKILL_);
                if (known || container) {
                        uint64_t noted = id;
                        if (note)
                                __atomic_compare_exchange_n(note, &noted, 0, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
                        return;
                }
                if (look == 0)
                        note = note_abort(launcher, id);
        }
}

/* The child of a start whose spawner is lost is ours to kill, and to reap whenever the kernel lets it die. */
static void take_orphan(struct launcher *launcher, int i, uint64_t id)
{
        int32_t pid = __atomic_load_n(&launcher->shared->progress[i].pid, __ATOMIC_SEQ_CST);
        if (pid <= 0 || pid == spawners[i].orphan)
                return;
        int pidfd = (int)sys2(__NR_pidfd_open, pid, 0);
        if (pidfd < 0)
                return;
        spawners[i].orphan = pid;
        sys4(__NR_pidfd_send_signal, pidfd, SIGKILL_, 0, 0);
        if (!take(id, -1, pidfd, FAILED))
                close_fd(pidfd);
}

/* The plan is the caller's to tear down. */
static void lose_start(struct launcher *launcher, int i, uint64_t id, int error)
{
        take_orphan(launcher, i, id);
        start_failed(launcher, id, launcher->shared->progress[i].step, error, 1);
}

static void check_aborts(struct launcher *launcher, uint64_t now)
{
        for (int k = 0; k < CT_ABORTED_MAX && has_room(); k++) {
                uint64_t id = aborts[k].id;
                if (id == 0 || aborts[k].until > now)
                        continue;
                aborts[k].id = 0;
                int i = spawner_of(launcher, id);
                uint64_t in_work = id;
                /* Otherwise its report is on the way. */
                if (i < 0 || !__atomic_compare_exchange_n(&launcher->shared->progress[i].id, &in_work, id | CT_PROGRESS_LOST, 0,
                                                          __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
                        continue;
                sys4(__NR_pidfd_send_signal, spawners[i].pidfd, SIGKILL_, 0, 0);
                lose_start(launcher, i, id, ETIMEDOUT);
                spawners[i].replaced = 1;
                add_spawner(launcher);
        }
}

/* It is dead: what it reported is in the socket, and what its page still names it did not report. */
static void spawner_died(struct launcher *launcher, int i)
{
        struct exit_info info = {0};
        take_reports(launcher);
        if (!has_room())
                return;                /* and be called again */
        sys5(__NR_waitid, P_PIDFD, spawners[i].pidfd, &info, WEXITED | WNOHANG | __WALL, 0);
        if (info.pid == 0)
                return;
        struct progress *progress = &launcher->shared->progress[i];
        uint64_t id = start_of(progress);
        if (spawners[i].replaced)
                take_orphan(launcher, i, id);  /* a clone that was under way when it was killed */
        else if (id != 0)
                lose_start(launcher, i, id, ECHILD);
        close_watched(spawners[i].pidfd);
        spawners[i] = (struct spawner){.pidfd = -1};
        __atomic_store_n(&progress->id, 0, __ATOMIC_SEQ_CST);
        int left = 0;
        for (int k = 0; k < CT_SPAWNERS_MAX; k++)
                left += spawners[k].pid != 0;
        if (left < 2 && !closing)
                add_spawner(launcher);
}

static void check_deadlines(uint64_t now)
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

static void close_down(void)
{
        closing = 1;
        for (uint32_t i = 0; i < used; i++)
                if (containers[i].state == RUNNING || containers[i].state == HELD)
                        kill_container(&containers[i], SIGKILL_);
}

static void take_control(struct launcher *launcher)
{
        struct ct_request request;
        int fds[CT_PASSED_MAX], count;
        struct container *container;
        long n = receive_message(launcher->control, &request, sizeof request, fds, &count, MSG_DONTWAIT_);
        if (n == -EAGAIN || n == -EINTR)
                return;
        if (n <= 0) {
                sys4(__NR_epoll_ctl, epoll, EPOLL_CTL_DEL, launcher->control, 0);
                close_down();
                return;
        }
        if (n != sizeof request || request.version != CT_ABI)
                request.type = 0;
        switch (request.type) {
        case CT_SIGNAL:
                container = find(request.id);
                if (container && (container->state == RUNNING || container->state == HELD))
                        kill_container(container, request.signal);
                break;
        case CT_DEADLINE:
                container = find(request.id);
                if (container) {
                        container->deadline_ns = request.deadline_ns;
                        if (container->state == RUNNING)
                                set_deadline(container);
                }
                break;
        case CT_ABORT:
                abort_start(launcher, request.id);
                break;
        case CT_GROW:
                add_spawner(launcher);
                break;
        case CT_TEARDOWN:
                container = count == 1 ? take(request.id, fds[0], -1, WAITING) : 0;
                if (!container) {
                        emit_removed(launcher, request.id, 0, ENFILE);
                        break;
                }
                count = 0;
                waiting++;
                send_removals(launcher);
                break;
        }
        for (int i = 0; i < count; i++)
                close_fd(fds[i]);
}

/* Milliseconds until something is due; -1 = nothing. */
static int next_timeout(void)
{
        uint64_t due = next_deadline, now = now_ns();
        for (int k = 0; k < CT_ABORTED_MAX; k++)
                if (aborts[k].id != 0 && (due == 0 || aborts[k].until < due))
                        due = aborts[k].until;
        if (due == 0)
                return -1;
        return due <= now ? 0 : (int)((due - now + 999999) / 1000000 > 86400000 ? 86400000 : (due - now + 999999) / 1000000);
}

static int spawner_is_busy(const struct launcher *launcher)
{
        for (int i = 0; i < CT_SPAWNERS_MAX; i++)
                if (launcher->shared->progress[i].id != 0)
                        return 1;
        return 0;
}

/* Ends the helpers and reaps them, so that whoever started us finds nothing of ours left. */
static void end_helpers(struct launcher *launcher)
{
        for (int i = 0; i < CT_SPAWNERS_MAX; i++)
                if (spawners[i].pid != 0) {
                        sys2(__NR_kill, spawners[i].pid, SIGKILL_);
                        sys4(__NR_wait4, spawners[i].pid, 0, __WALL, 0);
                }
        close_fd(launcher->removals[0]);
        sys4(__NR_wait4, launcher->janitor, 0, __WALL, 0);
}

int supervisor_main(struct launcher *launcher)
{
        struct ct_ready ready = {{sizeof ready, CT_READY, 0}, CT_ABI, (uint32_t)sys0(__NR_getpid),
                                 launcher->empty_namespace < 0 ? launcher->empty_namespace : 0, launcher->private_proc};
        name_process("coracle-super");
        epoll = (int)sys1(__NR_epoll_create1, O_CLOEXEC);
        watch(launcher->control, WATCH_CONTROL, 0, EPOLLIN);
        watch(launcher->reports[0], WATCH_REPORTS, 0, EPOLLIN);
        watch(launcher->removals[0], WATCH_REMOVALS, 0, EPOLLIN);
        watch(launcher->events, WATCH_EVENTS, 0, 0);
        for (int i = 0; i < CT_SPAWNERS_MAX; i++)
                spawners[i].pidfd = -1;
        add_spawner(launcher);
        add_spawner(launcher);
        /* The requests are the spawners' to read; their end stays open here for those that are still to come. */
        emit(launcher, &ready.event);
        for (;;) {
                struct epoll_event events[64];
                long n = sys5(__NR_epoll_pwait, epoll, events, 64, closing ? 100 : next_timeout(), 0);
                uint64_t now = now_ns();
                for (long i = 0; i < n; i++) {
                        uint32_t index = (uint32_t)events[i].data;
                        if (!has_room())
                                break;
                        switch (events[i].data >> 32) {
                        case WATCH_CONTROL:
                                take_control(launcher);
                                break;
                        case WATCH_REPORTS:
                                take_report(launcher);
                                break;
                        case WATCH_REMOVALS:
                                take_removal(launcher);
                                break;
                        case WATCH_EVENTS:
                                break;
                        case WATCH_CONTAINER:
                                if (containers[index].pidfd >= 0 && containers[index].state != FREE)
                                        container_exited(launcher, &containers[index]);
                                break;
                        case WATCH_HELD:
                                if (containers[index].state == HELD && containers[index].done >= 0)
                                        read_held(launcher, &containers[index]);
                                break;
                        case WATCH_SPAWNER:
                                spawner_died(launcher, (int)index);
                                break;
                        }
                }
                if (backlog_end > 0) {
                        flush(launcher);
                        if (!has_room())
                                sleep_us(1000);
                }
                check_deadlines(now);
                check_aborts(launcher, now);
                if (closing && alive == 0 && !spawner_is_busy(launcher)) {
                        end_helpers(launcher);
                        return 0;
                }
        }
}
