/* monitor.c: the life of one detached container. Forked from the supervisor, without exec, it is the parent of the container's
 * init: starts it, hands its output on, notes how it ended, tears it down, starts it again when that is due. See README.md and
 * docs/decisions/0010-the-monitor.md. */
#include "monitor.h"
#include <linux/poll.h>
#include <linux/wait.h>

#define AF_UNIX_ 1
#define SOCK_STREAM_NONBLOCK (1 | O_NONBLOCK | O_CLOEXEC)
#define SOCK_SEQPACKET_CLOEXEC (5 | O_CLOEXEC)
#define TIOCSWINSZ_ 0x5414
#define IDLE_NS 1000000000u            /* silent for so long, buffers are given back */
#define LAST_WORDS_NS 10000000000u     /* how long a client that lost output may take to read the rest, at the end */
#define SECOND 1000000000u
#define STACK_BELOW (64 * 1024)        /* more than anything here takes */
#define HELPERS_LOST_MOST 4            /* that somebody killed, one after the other, are replaced */

extern char __bss_start[], _end[];

static char chunk[CHUNK_SIZE] __attribute__((aligned(4096)));

/* What the supervisor has touched is as good as ours now: its tables, its backlog. Whole pages are given back, and read as zero. */
static void forget_memory(void)
{
        uintptr_t page = 65536, first = ((uintptr_t)__bss_start + page - 1) & ~(page - 1), end = (uintptr_t)_end & ~(page - 1);
        if (first < end)
                sys3(__NR_madvise, first, end - first, 4 /* MADV_DONTNEED */);
}

static void clean(struct monitor *m)
{
        if (fork_cleaner(m, &m->helper) < 0)
                quit(111);             /* no processes to be had: the next open cleans */
        m->stage = CLEANING;
        m->cleaned = m->final;
}

/* --- start --- */

static void fail(struct monitor *m, uint32_t step, int error)
{
        m->failed_step = step;
        m->failed_error = (uint32_t)error;
}

/* The container's ends in stdio, ours in the monitor; 0 or -errno. */
static int open_streams(struct monitor *m, int *stdio)
{
        int ends[2];
        long r = 0;
        stdio[0] = stdio[1] = stdio[2] = -1;
        if (orders()->flags & CT_ORDER_TERMINAL) {
                r = sys4(__NR_socketpair, AF_UNIX_, SOCK_SEQPACKET_CLOEXEC, 0, ends);
                if (r == 0) {
                        m->terminal_socket = ends[0];
                        stdio[0] = ends[1];
                }
                return (int)r;
        }
        for (int i = 0; r == 0 && i < 2; i++) {
                r = sys2(__NR_pipe2, ends, O_CLOEXEC);
                if (r < 0)
                        break;
                m->streams[i].fd = ends[0];
                stdio[i + 1] = ends[1];
                set_nonblocking(ends[0]);
        }
        if (r == 0 && (orders()->flags & CT_ORDER_STDIN)) {
                r = sys2(__NR_pipe2, ends, O_CLOEXEC);
                if (r == 0) {
                        stdio[0] = ends[0];
                        m->input = ends[1];
                        set_nonblocking(ends[1]);
                }
        } else if (r == 0) {
                r = stdio[0] = (int)sys4(__NR_openat, AT_FDCWD, "/dev/null", O_RDONLY | O_CLOEXEC, 0);
        }
        return r < 0 ? (int)r : 0;
}

/* The container has sent it before exec. */
static int take_terminal(struct monitor *m)
{
        char none;
        int fds[CT_PASSED_MAX], count = 0;
        receive_message(m->terminal_socket, &none, 1, fds, &count, MSG_DONTWAIT_);
        close_if_open(&m->terminal_socket);
        if (count != 1)
                return 0;
        set_nonblocking(fds[0]);
        m->streams[0].fd = m->input = fds[0];
        m->terminal = 1;
        return 1;
}

static void close_streams(struct monitor *m)
{
        close_if_open(&m->terminal_socket);
        if (!m->terminal)
                close_if_open(&m->input);
        m->input = -1;
        m->terminal = 0;
        for (int i = 0; i < 2; i++)
                close_if_open(&m->streams[i].fd);
}

static void end(struct monitor *m, const struct ct_said_ended *ended);

static void start_failed(struct monitor *m)
{
        struct ct_said_failed failed = {m->failed_step, (int32_t)m->failed_error};
        close_streams(m);
        if (m->failed_error == ECHILD && m->restarts > 0 && !m->final && m->starters_lost++ < HELPERS_LOST_MOST) {
                m->restarts--;
                clean(m);              /* nobody waits for this start: after the pause, again */
                return;
        }
        if (m->restarts > 0)           /* it is not to be restarted any more */
                write_state(m, "exited");
        say(m, CT_SAID_FAILED, &failed, sizeof failed);
        m->final = 1;
        if (m->plan >= 0) {
                clean(m);
        } else {
                struct ct_said_ended nothing = {0};
                end(m, &nothing);
        }
}

/* Its closing, which the kernel does for the dead as well, says that somebody should look after the container. */
static void show_life(struct monitor *m)
{
        const char *path = orders_text(orders()->alive);
        if (orders()->restart == CT_RESTART_NEVER || !*path)
                close_if_open(&m->alive);
        else if (m->alive < 0)
                m->alive = (int)sys4(__NR_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
}

static int start_with(struct monitor *m, const int *stdio)
{
        for (int i = 0; i < 3; i++)
                m->passed[i] = stdio[i];
        return fork_starter(m, &m->helper, m->plan, m->passed, m->passed_count);
}

/* plan.bin is read anew each time: it may have been replaced. */
static void start(struct monitor *m)
{
        int stdio[3], r;
        m->requested_ns = now_ns();
        m->gave_up = 0;
        m->sent = (struct ct_ask_signal){0};
        m->failed_step = CT_AT_PLAN;
        close_if_open(&m->plan);
        r = m->plan = (int)sys4(__NR_openat, m->directory, "plan.bin", O_RDONLY | O_CLOEXEC | O_NOFOLLOW, 0);
        if (r >= 0)
                r = read_orders(m->plan);
        if (r >= 0) {
                show_life(m);
                m->failed_step = CT_AT_LOG;
                r = open_log(m);
        }
        if (r >= 0) {
                m->failed_step = CT_AT_STREAMS;
                r = open_streams(m, stdio);
                if (r >= 0)
                        r = start_with(m, stdio);
                for (int i = 0; i < 3; i++)
                        close_if_open(&stdio[i]);
        }
        if (r < 0) {
                m->failed_error = (uint32_t)-r;
                start_failed(m);
                return;
        }
        m->stage = STARTING;
        m->due = orders()->start_deadline_ns ? m->requested_ns + orders()->start_deadline_ns : 0;
}

/* What is killed here says so, sooner or later, by its end. */
static void give_up_start(struct monitor *m)
{
        m->gave_up = 1;
        m->due = 0;
        kill_starter(&m->helper);
}

static void started(struct monitor *m)
{
        struct ct_said_started said = {m->pid, m->restarts, m->requested_ns, m->executed_ns};
        m->stage = RUNNING;
        m->starters_lost = 0;
        m->due = orders()->deadline_ns ? m->executed_ns + orders()->deadline_ns : 0;
        m->idle = 0;
        format_time(m->started, wall_ns() - (now_ns() - m->executed_ns));
        reserve_exit(m);
        if (m->final)                  /* somebody wanted its end meanwhile: the start has forgotten the one before */
                note_stopped(m);
        write_events(orders()->started_events, 0);
        begin_health(m);
        write_state(m, "running");
        say(m, CT_SAID_STARTED, &said, sizeof said);
        if (m->sent.signal)
                sys4(__NR_pidfd_send_signal, m->pidfd, m->sent.signal, 0, 0);
}

/* A report is large: it shall not be part of the frame that lasts. */
static __attribute__((noinline)) void starter_reported(struct monitor *m)
{
        struct report report;
        if (!hear_starter(&m->helper, &report, &m->pidfd))
                return;
        m->due = 0;
        m->pid = report.pid;
        m->executed_ns = report.executed_ns;
        __builtin_memcpy(m->beside, report.beside, sizeof report.beside);
        if (m->gave_up && (report.error == 0 || report.error == ECHILD))
                report.error = ETIMEDOUT;
        if (report.error == 0 && (orders()->flags & CT_ORDER_TERMINAL) && !take_terminal(m)) {
                report.error = ENOTTY;
                report.step = CT_AT_STREAMS;
        }
        if (report.error == 0) {
                started(m);
                return;
        }
        fail(m, report.step, report.error);
        if (m->pidfd >= 0) {
                sys4(__NR_pidfd_send_signal, m->pidfd, SIGKILL_, 0, 0);
                m->stage = LOSING;
        } else {
                start_failed(m);
        }
}

/* --- run --- */

static int read_stream(struct monitor *m, int i)
{
        long n = sys3(__NR_read, m->streams[i].fd, chunk, sizeof chunk);
        if (n == -EAGAIN || n == -EINTR)
                return 0;
        if (n <= 0) {                  /* a terminal that nobody has open any more answers EIO */
                if (i == 0 && m->terminal) {
                        m->input = -1;
                        m->terminal = 0;
                }
                close_if_open(&m->streams[i].fd);
                return 0;
        }
        m->idle = 0;
        log_output(m, i, chunk, (uint32_t)n);
        say_output(m, i, chunk, (uint32_t)n);
        return 1;
}

/* The last words: what is in the pipes once the container is gone. A process outside may hold their other ends; nobody waits for
 * what it might still write. */
static void read_rest(struct monitor *m)
{
        for (int i = 0; i < 2; i++) {
                for (int reads = 0; reads < 64 && m->streams[i].fd >= 0; reads++)
                        if (!read_stream(m, i))
                                break;
                log_end(m, i);
        }
        flush_log();
        close_streams(m);
}

/* moby, restartmanager/restartmanager.go, with the numbers that TypeScript gave. */
static int restart_is_due(struct monitor *m, const struct ending *ending)
{
        const struct ct_orders *o = orders();
        if (ending->duration_ns >= o->pause_reset_ns || m->pause_ns == 0)
                m->pause_ns = o->pause_first_ns;
        else
                m->pause_ns *= o->pause_factor;
        if (m->pause_ns > o->pause_most_ns)
                m->pause_ns = o->pause_most_ns;
        if (m->final || o->restart == CT_RESTART_NEVER)
                return 0;
        if (o->restart == CT_RESTART_ALWAYS)
                return 1;
        int failed = ending->code != CLD_EXITED_ || ending->status != 0;
        return failed && (o->restart_most == 0 || m->restarts < o->restart_most);
}

static void child_ended(struct monitor *m)
{
        static struct ending ending;
        struct exit_info info = {0};
        struct rusage usage = {0};
        long r = sys5(__NR_waitid, P_PIDFD, m->pidfd, &info, WEXITED | WNOHANG | __WALL, &usage);
        if (r == 0 && info.pid == 0)
                return;
        close_if_open(&m->pidfd);
        end_beside(m->beside);
        if (m->stage == LOSING) {
                start_failed(m);
                return;
        }
        ending.code = info.code;
        ending.status = info.status;
        ending.duration_ns = now_ns() - m->executed_ns;
        ending.user_us = (uint64_t)usage.ru_utime.tv_sec * 1000000u + (uint64_t)usage.ru_utime.tv_usec;
        ending.system_us = (uint64_t)usage.ru_stime.tv_sec * 1000000u + (uint64_t)usage.ru_stime.tv_usec;
        ending.peak_rss_kb = (uint64_t)usage.ru_maxrss;
        ending.deadline = orders()->deadline_ns != 0 && m->due == 0;
        format_time(m->finished, wall_ns());
        end_health();
        read_rest(m);
        ending.reports_size = read_exit_reports(m->plan, ending.reports, sizeof ending.reports);
        ending.restarts = (uint32_t)restart_is_due(m, &ending);
        if (struck_for_memory(&ending))
                write_events(orders()->oom_events, 0);
        write_events(orders()->ended_events, info.code == CLD_EXITED_ ? info.status : 128 + info.status);
        if (ending.restarts)
                write_state(m, "restarting");
        write_exit(m, &ending);
        struct ct_said_exited said = {ending.code, ending.status, ending.restarts, 0};
        tell_losses(m);
        say(m, CT_SAID_EXITED, &said, sizeof said);
        m->due = 0;
        if (!ending.restarts)
                m->final = 1;
        clean(m);
}

/* --- end --- */

/* The next open tries again. One that was to remove itself may have no directory any more. */
static void mark_leftover(const struct monitor *m)
{
        long fd = sys4(__NR_openat, m->directory, "leftover", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        if (fd >= 0)
                close_fd((int)fd);
}

/* From here on the container may be started by others: nothing in its directory is ours any more. */
static void end(struct monitor *m, const struct ct_said_ended *ended)
{
        close_log();
        close_if_open(&m->plan);
        close_if_open(&m->alive);
        close_if_open(&m->listener);
        if (ended->error != 0)
                mark_leftover(m);
        sys3(__NR_unlinkat, m->directory, "control", 0);
        sys3(__NR_unlinkat, m->directory, "pid", 0);
        sys3(__NR_unlinkat, m->directory, "watcher", 0);
        if (ended->error == 0)
                write_events(orders()->removed_events, 0);
        say(m, CT_SAID_ENDED, ended, sizeof *ended);
        m->stage = ENDED;
        m->due = now_ns() + LAST_WORDS_NS;
}

static void cleaner_reported(struct monitor *m)
{
        struct ct_said_ended ended;
        if (!hear_cleaner(&m->helper, &ended))
                return;
        if (ended.error == ECHILD && m->cleaners_lost++ < HELPERS_LOST_MOST) {
                clean(m);              /* what was removed already is fine */
                return;
        }
        m->cleaners_lost = 0;
        reap_beside(m->beside);
        if (m->final && m->cleaned) {
                end(m, &ended);
                return;
        }
        if (m->final) {                /* asked for meanwhile */
                clean(m);
                return;
        }
        m->stage = PAUSING;
        m->due = now_ns() + m->pause_ns;
}

static void time_is_over(struct monitor *m)
{
        switch (m->stage) {
        case STARTING:
                give_up_start(m);
                break;
        case RUNNING:
                m->due = 0;            /* child_ended() reads from it that the deadline struck */
                sys4(__NR_pidfd_send_signal, m->pidfd, SIGKILL_, 0, 0);
                break;
        case PAUSING:
                m->restarts++;
                start(m);
                break;
        case ENDED:
                quit(0);
        default:
                m->due = 0;
        }
}

/* --- requests of clients --- */

/* A relative name: the directory's path may be longer than an address. */
static int listen_here(void)
{
        struct {
                uint16_t family;
                char path[14];
        } address = {AF_UNIX_, "control"};
        long fd = sys3(__NR_socket, AF_UNIX_, SOCK_STREAM_NONBLOCK, 0);
        if (fd < 0)
                return (int)fd;
        sys3(__NR_unlinkat, AT_FDCWD, "control", 0);
        sys1(__NR_umask, 0077);
        long r = sys3(__NR_bind, fd, &address, 2 + 8);
        sys1(__NR_umask, 0);
        if (r == 0)
                r = sys2(__NR_listen, fd, 16);
        return r < 0 ? (int)r : (int)fd;
}

/* The caller may have died meanwhile, and its lock with it: a monitor that nobody starts leaves no trace, and disturbs none of
 * another's. */
void ask_to_start(struct monitor *m)
{
        m->listener = listen_here();
        if (m->listener < 0)
                quit(111);
        start(m);
}

int ask_to_signal(struct monitor *m, const struct ct_ask_signal *ask, int final)
{
        if (final) {
                m->final = 1;
                note_stopped(m);
        }
        if (m->stage == PAUSING && final) {
                write_state(m, "exited");
                clean(m);
                return 0;
        }
        if (m->stage != RUNNING && m->stage != STARTING)
                return ESRCH;
        if (ask->signal == 0)
                return 0;
        m->sent = *ask;
        if (m->stage == STARTING)
                return 0;              /* started() sends it */
        return (int)-sys4(__NR_pidfd_send_signal, m->pidfd, ask->signal, 0, 0);
}

int ask_to_resize(struct monitor *m, const struct ct_ask_resize *ask)
{
        uint16_t size[4] = {ask->rows, ask->columns, 0, 0};
        if (!m->terminal)
                return m->stage == RUNNING ? ENOTTY : ESRCH;
        return (int)-sys3(__NR_ioctl, m->input, TIOCSWINSZ_, size);
}

/* The steps of a start are read at the next one; those of the teardown at once: an update may have put the container into one more
 * cgroup. */
int ask_to_reload(struct monitor *m)
{
        int plan = (int)sys4(__NR_openat, m->directory, "plan.bin", O_RDONLY | O_CLOEXEC | O_NOFOLLOW, 0);
        if (plan < 0)
                return -plan;
        int r = read_orders(plan);
        if (r == 0 && m->stage == RUNNING) {
                int before = m->plan;
                m->plan = plan;
                plan = before;
                reload_health(m);
        }
        if (r == 0)
                show_life(m);
        close_fd(plan);
        return r == 0 && m->stage == STARTING ? EAGAIN : -r;
}

void ask_to_give_up(struct monitor *m)
{
        if (m->stage == STARTING)
                give_up_start(m);
}

/* --- the loop --- */

enum { AT_HELPER, AT_LISTENER, AT_PIDFD, AT_OUT, AT_ERR, AT_INPUT, AT_HEALTH, AT_CLIENTS = AT_HEALTH + HEALTH_POLLS, AT_END = AT_CLIENTS + CLIENTS_MAX };

static void list_descriptors(const struct monitor *m, struct pollfd *polled)
{
        /* What it writes at once is read after the news of its start: no line of the log is older than that. */
        int held = is_held(m) || m->stage == STARTING;
        for (int i = 0; i < AT_END; i++)
                polled[i] = (struct pollfd){-1, POLLIN, 0};
        polled[AT_HELPER].fd = m->helper.socket;
        polled[AT_LISTENER].fd = m->listener;
        polled[AT_PIDFD].fd = m->pidfd;
        list_health(polled + AT_HEALTH);
        if (!held) {
                polled[AT_OUT].fd = m->streams[0].fd;
                polled[AT_ERR].fd = m->streams[1].fd;
        }
        if (m->input_waits)
                polled[AT_INPUT] = (struct pollfd){m->input, POLLOUT, 0};
        for (int i = 0; i < CLIENTS_MAX; i++) {
                const struct client *client = &m->clients[i];
                polled[AT_CLIENTS + i].fd = client->fd;
                polled[AT_CLIENTS + i].events = (short)((client->have < CT_CONTROL_MAX ? POLLIN : 0) | (client->used > 0 ? POLLOUT : 0));
        }
}

/* Nanoseconds until something is due; false = nothing is. */
static int next_due(const struct monitor *m, struct ct_timespec *wait)
{
        uint64_t now = now_ns(), due = m->due, probe = health_due();
        if (probe != 0 && (due == 0 || probe < due))
                due = probe;
        if (!m->idle && (due == 0 || due > now + IDLE_NS))
                due = now + IDLE_NS;
        if (due == 0)
                return 0;
        uint64_t left = due > now ? due - now : 0;
        *wait = (struct ct_timespec){(int64_t)(left / SECOND), (int64_t)(left % SECOND)};
        return 1;
}

/* What was called once, and deeper than this, has left its pages. Never inlined: below its own frame nothing is alive. */
static __attribute__((noinline)) void trim_stack(void)
{
        uintptr_t page = 4096, below = ((uintptr_t)__builtin_frame_address(0) - 512) & ~(page - 1);
        sys3(__NR_madvise, below - STACK_BELOW, STACK_BELOW, 4 /* MADV_DONTNEED */);
}

static void trim(struct monitor *m)
{
        trim_log(m);
        trim_stack();
        sys3(__NR_madvise, chunk, sizeof chunk, 4 /* MADV_DONTNEED */);
        sys3(__NR_madvise, &scratch, sizeof scratch, 4);
        m->idle = 1;
}

static void serve_clients(struct monitor *m, const struct pollfd *polled)
{
        for (int i = 0; i < CLIENTS_MAX; i++) {
                struct client *client = &m->clients[i];
                int events = polled[AT_CLIENTS + i].revents;
                if (client->fd < 0 || client->fd != polled[AT_CLIENTS + i].fd)
                        continue;
                if (events & POLLOUT)
                        flush_client(m, client);
                if (client->fd >= 0 && (events & ~POLLOUT) && client->have < CT_CONTROL_MAX)
                        serve_client(m, client);
                else if (client->fd >= 0 && (events & (POLLHUP | POLLERR)))
                        hang_up(m, client);
        }
}

static _Noreturn void watch_over(struct monitor *m)
{
        for (;;) {
                static struct pollfd polled[AT_END];
                struct ct_timespec wait;
                list_descriptors(m, polled);
                long n = sys5(__NR_ppoll, polled, AT_END, next_due(m, &wait) ? &wait : 0, 0, 8);
                if (n < 0 && n != -EINTR)
                        quit(111);
                if (n == 0 && !m->idle)
                        trim(m);
                for (int i = 0; n > 0 && i < 2; i++)
                        if (polled[AT_OUT + i].revents && m->streams[i].fd >= 0)
                                read_stream(m, i);
                flush_log();
                if (n > 0 && polled[AT_INPUT].revents)
                        retry_input(m);
                if (n > 0)
                        serve_clients(m, polled);
                if (n > 0 && polled[AT_LISTENER].revents && m->listener >= 0)
                        accept_client(m);
                if (n > 0 && polled[AT_HELPER].revents && m->helper.socket >= 0) {
                        if (m->stage == STARTING)
                                starter_reported(m);
                        else
                                cleaner_reported(m);
                }
                if (n > 0 && polled[AT_PIDFD].revents && m->pidfd >= 0 && m->pidfd == polled[AT_PIDFD].fd)
                        child_ended(m);
                serve_health(m, n > 0 ? polled + AT_HEALTH : 0);
                if (m->due != 0 && now_ns() >= m->due)
                        time_is_over(m);
                if (m->stage == ENDED && clients_unread(m) == 0)
                        quit(0);
        }
}

/* --- birth --- */

/* Leaves what belonged to the caller. What cannot be left, an ordinary user's cgroup say, it says in its steps. */
static void settle(struct launcher *launcher, int plan)
{
        struct run *run = &scratch.run;
        if (run_open(run, plan, &scratch.progress) == 0) {
                run->slots[CT_SLOT_PROC] = launcher->proc;
                run_phase(run, PHASE_HOST);
                run_close(run);
        }
        close_fd(plan);
}

_Noreturn void monitor_main(struct launcher *launcher, const int *fds, int count)
{
        static struct monitor m;
        int given[CT_PASSED_MAX], needed[2 + CT_PASSED_MAX] = {launcher->proc, launcher->empty_namespace};
        for (int i = 0; i < count; i++)
                given[i] = needed[2 + i] = fds[i];
        name_process("coracle-monitor");
        sys0(__NR_setsid);
        launcher->self = (int)sys0(__NR_getpid);
        sys2(__NR_munmap, launcher->shared, sizeof *launcher->shared);
        forget_memory();
        close_all_but(needed, 2 + count);
        m = (struct monitor){.launcher = launcher, .directory = given[1], .alive = -1, .plan = -1, .pidfd = -1, .helper = {.socket = -1},
                             .input = -1, .listener = -1, .terminal_socket = -1, .idle = 1};
        for (int i = 0; i < CLIENTS_MAX; i++)
                m.clients[i].fd = -1;
        m.streams[0].fd = m.streams[1].fd = -1;
        m.passed_count = count;
        for (int i = 3; i < count; i++)
                m.passed[i] = given[i];
        settle(launcher, given[0]);
        if (sys1(__NR_fchdir, m.directory) < 0 || sys2(__NR_pipe2, m.life, O_CLOEXEC) < 0)
                quit(111);
        set_nonblocking(given[2]);
        add_client(&m, given[2]);
        watch_over(&m);
}
