/* supervisor.c: parent of every container. It never blocks: it waits for reports of the spawners, exits of containers,
 * deadlines and requests, and tells Node. What can take time is done by the spawners and the janitor. */
#include "supervisor.h"
#include <linux/wait.h>

#define PATIENCE_NS 200000000u         /* until what was killed is torn down while it lives */
#define STARTS_NS 10000000000u         /* for starts to come to something that can be torn down: as long as Node gives them */

int closing;
static uint64_t closing_since;

static void close_down(void)
{
        closing = 1;
        closing_since = now_ns();
        kill_containers();
}

/* It outlives us; until then it is ours to reap. */
static void fork_monitor(struct launcher *launcher, const int *fds, int count)
{
        long pid = fork_process();
        if (pid == 0)
                monitor_main(launcher, fds, count);
        if (pid < 0)
                return;                /* its socket closes: the caller sees that nobody answers */
        int pidfd = (int)sys2(__NR_pidfd_open, pid, 0);
        if (pidfd >= 0)
                watch(pidfd, WATCH_MONITOR, (uint32_t)pidfd, EPOLLIN);
}

static void reap_monitor(int pidfd)
{
        struct exit_info info = {0};
        sys5(__NR_waitid, P_PIDFD, pidfd, &info, WEXITED | WNOHANG | __WALL, 0);
        close_watched(pidfd);
}

static void take_control(struct launcher *launcher)
{
        struct ct_request request;
        int fds[CT_PASSED_MAX], count;
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
                signal_container(request.id, request.signal);
                break;
        case CT_DEADLINE:
                give_deadline(request.id, request.deadline_ns);
                break;
        case CT_ABORT:
                abort_start(launcher, request.id);
                break;
        case CT_GROW:
                add_spawner(launcher);
                break;
        case CT_MONITOR:
                if (count >= 3)
                        fork_monitor(launcher, fds, count);
                break;
        case CT_TEARDOWN:
                tear_down(launcher, request.id, count == 1 ? fds[0] : -1);
                if (count == 1)
                        count = 0;
                break;
        }
        for (int i = 0; i < count; i++)
                close_fd(fds[i]);
}

/* Milliseconds until something is due; -1 = nothing. */
static int next_timeout(void)
{
        uint64_t due = next_deadline, abort = next_abort(), now = now_ns();
        if (abort != 0 && (due == 0 || abort < due))
                due = abort;
        if (due == 0)
                return -1;
        return due <= now ? 0 : (int)((due - now + 999999) / 1000000 > 86400000 ? 86400000 : (due - now + 999999) / 1000000);
}

/* Whoever started us finds nothing of ours left. */
static void end_helpers(struct launcher *launcher)
{
        end_spawners(launcher);
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
        first_spawners(launcher);
        /* The requests are the spawners' to read; their end stays open here for those that are still to come. */
        emit_event(launcher, &ready.event);
        for (;;) {
                struct epoll_event events[64];
                int busy = closing | reap_helpers();
                long n = sys5(__NR_epoll_pwait, epoll, events, 64, busy ? 100 : next_timeout(), 0);
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
                                if (events[i].events & (EPOLLHUP | EPOLLERR))
                                        forget_events(launcher);
                                break;
                        case WATCH_CONTAINER:
                                container_exited(launcher, index);
                                break;
                        case WATCH_HELD:
                                container_spoke(launcher, index);
                                break;
                        case WATCH_SPAWNER:
                                spawner_died(launcher, (int)index);
                                break;
                        case WATCH_MONITOR:
                                reap_monitor((int)index);
                                break;
                        }
                }
                if (has_backlog()) {
                        flush_events(launcher);
                        if (!has_room())
                                sleep_us(1000);
                }
                check_deadlines(now);
                check_aborts(launcher, now);
                if (closing && now - closing_since > PATIENCE_NS) {
                        force_containers(launcher);
                        abort_starts(launcher, now - closing_since > STARTS_NS);
                }
                if (closing && containers_left() == 0 && !spawner_is_busy(launcher)) {
                        end_helpers(launcher);
                        return 0;
                }
        }
}
