/* monitor-health.c: health checks. A probe is a command that joins the container, as exec does; its plan and what it means stand
 * in probe.bin. When it runs, for how long, and what its results come to, is Docker's: moby, daemon/health.go. */
#include "monitor.h"
#include <linux/poll.h>
#include <linux/wait.h>

#define READS_MAX 16                   /* of a pipe at once: a probe that never stops writing keeps nobody from the rest */

enum { AT_PROBER, AT_PROBE, AT_OUTPUT };
enum probing { RESTING, JOINING, PROBING };

static struct {
        int plan;                      /* probe.bin as the present run has it; 0: there is no health check */
        struct ct_health orders;       /* without the strings that follow it there */
        enum probing at;
        struct helper prober;          /* JOINING */
        int pidfd, pid, output;        /* PROBING: the probe, the reading end of its output */
        int gave_up;                   /* on its start */
        int timed_out;
        const char *failure;           /* "exec" or "join": how it failed before its exec, 0 = it did not; */
        int32_t failed;                /* its errno */
        int cancelled;                 /* its result means nothing: the container has ended, or stood still meanwhile */
        int32_t lost;                  /* a group of processes to be reaped that were killed while they joined; 0 = none */
        uint64_t due, began_ns;
        uint64_t started_ns;           /* of the container */
        uint32_t used;                 /* bytes of the texts */
        char exec_id[EXEC_ID_SIZE];
        struct probe_result next;
        struct health health;
        /* The output of the results that are kept, and behind it that of the present probe. */
        char texts[(HEALTH_RESULTS_MAX + 1) * HEALTH_OUTPUT_MAX];
} h;

static int is_starting(void)
{
        return text_equal(h.health.status, "starting");
}

static void rest(void)
{
        uint64_t now = now_ns();
        int early = is_starting() && now - h.started_ns < h.orders.start_period_ns;
        h.due = now + (early ? h.orders.start_interval_ns : h.orders.interval_ns);
}

/* --- orders: looked up when they are needed, most of the time the monitor remembers their numbers alone --- */

static const struct ct_health *open_orders(struct run *run, int plan)
{
        if (run_open(run, plan, &scratch.progress) < 0)
                return 0;
        uint32_t size = run->plan->orders_size;
        const char *bytes = run->strings + run->plan->orders;
        const struct ct_health *found = (const struct ct_health *)bytes;
        if (size >= sizeof *found && run->plan->orders % 8 == 0 && found->size == size && found->version == CT_HEALTH &&
            text_is_within(bytes, found->pause_file, size) && text_is_within(bytes, found->begun_events, size) &&
            text_is_within(bytes, found->ended_events, size) && text_is_within(bytes, found->healthy_events, size) &&
            text_is_within(bytes, found->unhealthy_events, size))
                return found;
        run_close(run);
        return 0;
}

static const char *text_of(const struct ct_health *orders, uint32_t offset)
{
        return offset ? (const char *)orders + offset : "";
}

static void tell(uint32_t lines, int exit_code)
{
        const struct ct_health *orders = lines ? open_orders(&scratch.run, h.plan) : 0;
        if (!orders)
                return;
        write_lines(text_of(orders, lines), exit_code, h.exec_id);
        run_close(&scratch.run);
}

static int is_paused(void)
{
        char state = 0;
        const struct ct_health *orders = h.orders.pause_file ? open_orders(&scratch.run, h.plan) : 0;
        if (!orders)
                return 0;
        long fd = sys4(__NR_openat, AT_FDCWD, text_of(orders, orders->pause_file), O_RDONLY | O_CLOEXEC, 0);
        if (fd >= 0) {
                sys3(__NR_read, fd, &state, 1);
                close_fd((int)fd);
        }
        run_close(&scratch.run);
        return state == '1';
}

/* --- results --- */

static void forget_oldest(void)
{
        uint32_t length = h.health.results[0].length;
        h.used -= length;
        memmove(h.texts, h.texts + length, h.used);
        h.health.count--;
        memmove(h.health.results, h.health.results + 1, h.health.count * sizeof h.health.results[0]);
}

static void note_result(struct monitor *m, const char *outcome, int32_t code)
{
        const char *before = h.health.status;
        int failed = code != 0 || !text_equal(outcome, "exited");
        format_time(h.next.end, wall_ns());
        h.next.outcome = outcome;
        h.next.code = code;
        if (h.health.count == HEALTH_RESULTS_MAX) {
                const char *present = h.texts + h.used;
                forget_oldest();
                memmove(h.texts + h.used, present, h.next.length);
        }
        h.health.results[h.health.count++] = h.next;
        h.used += h.next.length;
        if (!failed) {
                h.health.streak = 0;
                h.health.status = "healthy";
        } else if (!is_starting() || h.began_ns - h.started_ns >= h.orders.start_period_ns) {
                h.health.streak++;
                if (h.health.streak >= h.orders.retries)
                        h.health.status = "unhealthy";
        }
        write_health(m, &h.health);
        if (!text_equal(before, h.health.status))
                tell(failed ? h.orders.unhealthy_events : h.orders.healthy_events, 0);
        say(m, CT_SAID_HEALTH, 0, 0);
        m->idle = 0;
        rest();
}

/* --- a probe --- */

static void new_exec_id(void)
{
        unsigned char bytes[(EXEC_ID_SIZE - 1) / 2] = {0};
        sys3(__NR_getrandom, bytes, sizeof bytes, 0);
        for (uint32_t i = 0; i < sizeof bytes; i++) {
                h.exec_id[2 * i] = "0123456789abcdef"[bytes[i] >> 4];
                h.exec_id[2 * i + 1] = "0123456789abcdef"[bytes[i] & 15];
        }
}

static void begin_probe(struct monitor *m)
{
        int passed[4] = {-1, -1, -1, m->pidfd}, ends[2];
        if (h.lost > 0 && reap_group(h.lost))
                h.lost = 0;
        if (is_paused()) {
                rest();
                return;
        }
        h.began_ns = now_ns();
        h.gave_up = h.timed_out = h.cancelled = 0;
        h.failure = 0;
        h.next = (struct probe_result){.length = 0};
        format_time(h.next.start, wall_ns());
        new_exec_id();
        tell(h.orders.begun_events, 0);
        long r = passed[0] = (int)sys4(__NR_openat, AT_FDCWD, "/dev/null", O_RDONLY | O_CLOEXEC, 0);
        if (r >= 0)
                r = sys2(__NR_pipe2, ends, O_CLOEXEC);
        if (r >= 0) {
                h.output = ends[0];
                set_nonblocking(h.output);
                passed[1] = passed[2] = ends[1];
                r = fork_starter(m, &h.prober, h.plan, passed, 4);
                close_fd(ends[1]);
                if (r < 0)
                        close_if_open(&h.output);
        }
        close_if_open(&passed[0]);
        if (r < 0) {
                note_result(m, "join", (int32_t)-r);
                return;
        }
        h.at = JOINING;
        h.due = h.began_ns + h.orders.start_deadline_ns;
}

/* What is more than the first bytes is read and forgotten: the probe shall not wait for us. False: there is no more, for now. */
static int read_output(void)
{
        uint32_t room = HEALTH_OUTPUT_MAX - h.next.length;
        long n = sys3(__NR_read, h.output, room > 0 ? h.texts + h.used + h.next.length : (char *)&scratch, room > 0 ? room : sizeof scratch);
        if (n == -EAGAIN || n == -EINTR)
                return 0;
        if (n <= 0) {
                close_if_open(&h.output);
                return 0;
        }
        if (room > 0)
                h.next.length += (uint32_t)n;
        else
                h.next.truncated = 1;
        return 1;
}

static void read_outputs(void)
{
        for (int reads = 0; reads < READS_MAX && h.output >= 0; reads++)
                if (!read_output())
                        break;
}

static void kill_probe(void)
{
        if (h.at == JOINING)
                kill_starter(&h.prober);
        else if (h.at == PROBING)
                sys2(__NR_kill, -h.pid, SIGKILL_);     /* its session's group: it is not reaped yet, so that this is nobody else's */
}

static uint32_t exec_step(void)
{
        struct run *run = &scratch.run;
        if (run_open(run, h.plan, &scratch.progress) < 0)
                return 0;
        uint32_t step = run->plan->end[PHASE_CHILD] - 1;
        run_close(run);
        return step;
}

/* A container that ends takes its probe along, and is reaped only after it: until then it has no memory any more, and so no
 * executable (proc_pid_exe(5)). Where /proc does not show it, it is gone when it can be reaped. child_ended() is next. */
static int container_is_gone(const struct monitor *m)
{
        struct pollfd polled = {m->pidfd, POLLIN, 0};
        struct ct_timespec now = {0, 0};
        char path[32], none[1];
        text_number(text_append(path, "/proc/"), (uint64_t)m->pid);
        long process = sys4(__NR_openat, AT_FDCWD, path, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
        if (process < 0)
                return sys5(__NR_ppoll, &polled, 1, &now, 0, 8) > 0;
        long r = sys4(__NR_readlinkat, process, "exe", none, sizeof none);
        close_fd((int)process);
        return r == -ENOENT || r == -ESRCH;
}

/* Nothing of the probe is left. */
static void conclude(struct monitor *m, int code)
{
        close_if_open(&h.output);
        h.at = RESTING;
        h.due = 0;
        if (h.cancelled || container_is_gone(m)) {
                if (h.plan > 0)
                        rest();
                return;
        }
        if (h.failure)
                note_result(m, h.failure, h.failed);
        else
                note_result(m, h.timed_out ? "timeout" : "exited", h.timed_out ? 0 : code);
}

/* As starter_reported(): not part of the frame that lasts. */
static __attribute__((noinline)) void prober_reported(struct monitor *m)
{
        struct report report;
        if (!hear_starter(&h.prober, &report, &h.pidfd))
                return;
        if (report.helper > 0 && !reap_group(report.helper))
                h.lost = report.helper;
        if (h.gave_up)
                report.error = ETIMEDOUT;
        if (report.error != 0) {
                h.failure = !h.gave_up && h.plan > 0 && report.step == exec_step() ? "exec" : "join";
                h.failed = report.error;
        }
        if (h.pidfd < 0) {
                conclude(m, 0);
                return;
        }
        h.at = PROBING;
        h.pid = report.pid;
        h.due = report.executed_ns + h.orders.timeout_ns;
        if (h.failure || h.cancelled) {
                h.due = 0;
                sys4(__NR_pidfd_send_signal, h.pidfd, SIGKILL_, 0, 0);
                kill_probe();
        }
}

static void probe_ended(struct monitor *m)
{
        struct exit_info info = {0};
        long r = sys5(__NR_waitid, P_PIDFD, h.pidfd, &info, WEXITED | WNOHANG | __WALL, 0);
        if (r == 0 && info.pid == 0)
                return;
        close_if_open(&h.pidfd);
        if (h.output >= 0)
                read_outputs();
        int code = info.code == CLD_EXITED_ ? info.status : 128 + info.status;
        if (!h.failure && h.plan > 0)
                tell(h.orders.ended_events, code);
        conclude(m, code);
}

void cancel_probe(void)
{
        if (h.at == RESTING)
                return;
        h.cancelled = 1;
        h.due = 0;
        kill_probe();
}

/* Whoever made the container stand still may have died before it could say so. */
static void time_is_over(struct monitor *m)
{
        if (h.at == RESTING) {
                begin_probe(m);
        } else if (is_paused()) {
                cancel_probe();
        } else {
                h.due = 0;
                if (h.at == JOINING)
                        h.gave_up = 1;
                else
                        h.timed_out = 1;
                kill_probe();
        }
}

/* --- for the rest of the monitor --- */

uint64_t health_due(void)
{
        return h.due;
}

void list_health(struct pollfd *polled)
{
        if (h.at == JOINING)
                polled[AT_PROBER].fd = h.prober.socket;
        if (h.at == PROBING)
                polled[AT_PROBE].fd = h.pidfd;
        if (h.at != RESTING)
                polled[AT_OUTPUT].fd = h.output;
}

void serve_health(struct monitor *m, const struct pollfd *polled)
{
        if (polled && polled[AT_OUTPUT].revents && h.at != RESTING && h.output == polled[AT_OUTPUT].fd)
                read_outputs();
        if (polled && polled[AT_PROBER].revents && h.at == JOINING && h.prober.socket == polled[AT_PROBER].fd)
                prober_reported(m);
        if (polled && polled[AT_PROBE].revents && h.at == PROBING && h.pidfd == polled[AT_PROBE].fd)
                probe_ended(m);
        if (h.due != 0 && now_ns() >= h.due)
                time_is_over(m);
}

/* False when there is no health check. */
static int read_plan(const struct monitor *m)
{
        int plan = (int)sys4(__NR_openat, m->directory, "probe.bin", O_RDONLY | O_CLOEXEC | O_NOFOLLOW, 0);
        if (plan < 0)
                return 0;
        const struct ct_health *orders = open_orders(&scratch.run, plan);
        if (!orders) {
                close_fd(plan);
                return 0;
        }
        h.orders = *orders;
        run_close(&scratch.run);
        if (h.plan > 0)
                close_fd(h.plan);
        h.plan = plan;
        return 1;
}

/* What is told of it may have changed. A probe that is under way goes on. */
void reload_health(const struct monitor *m)
{
        if (h.plan > 0)
                read_plan(m);
}

/* A probe of the run before may still be dying. */
void begin_health(struct monitor *m)
{
        if (!read_plan(m))
                return;
        h.started_ns = m->executed_ns;
        h.used = 0;
        h.health = (struct health){.status = "starting", .texts = h.texts};
        write_health(m, &h.health);
        if (h.at == RESTING)
                rest();
}

void end_health(void)
{
        if (h.plan > 0)
                close_fd(h.plan);
        h.plan = 0;
        h.due = 0;
        cancel_probe();
}
