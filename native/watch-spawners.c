/* watch-spawners.c: the spawners, and the starts that they are at: until a start is reported, given up or lost. */
#include "supervisor.h"
#include <linux/wait.h>

#define ABORT_PATIENCE_NS 50000000u    /* how long a killed start may take to say so before its spawner is killed too */
#define JOIN_PATIENCE_NS 500000000u    /* the same when it joins a container, and may have to be taken out of a freezer */

struct spawner {
        int32_t pid, pidfd;
        int32_t replaced;              /* killed by us: its start was answered */
        int32_t orphan;                /* the child that it left and that we took on */
};

struct abort {
        uint64_t id, until;
        int32_t joins;                 /* and has got its patience */
};

static struct spawner spawners[CT_SPAWNERS_MAX];
static struct abort aborts[CT_ABORTED_MAX];
static int32_t helpers[CT_SPAWNERS_MAX];       /* groups of processes that joined containers, to be reaped; 0 = free */

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

/* From here on the start is the container table's affair, not its spawner's. */
void start_reported(struct launcher *launcher, uint64_t id)
{
        for (int i = 0; i < CT_ABORTED_MAX; i++)
                if (aborts[i].id == id)
                        aborts[i].id = 0;
        for (int i = 0; i < CT_SPAWNERS_MAX; i++) {
                uint64_t reported = id | CT_PROGRESS_REPORTED;
                __atomic_compare_exchange_n(&launcher->shared->progress[i].id, &reported, 0, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
        }
}

void add_spawner(struct launcher *launcher)
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
        if (pid <= 0)
                pid = __atomic_load_n(&progress->helper, __ATOMIC_SEQ_CST);
        if (pid > 0 && start_of(progress) == id)
                sys2(__NR_kill, pid, SIGKILL_);
        for (int k = 0; k < CT_ABORTED_MAX; k++)
                if (aborts[k].id == 0) {
                        aborts[k] = (struct abort){id, now_ns() + ABORT_PATIENCE_NS, 0};
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
void abort_start(struct launcher *launcher, uint64_t id)
{
        uint64_t *note = 0;
        for (int look = 0; look < 2; look++) {
                int known = abort_in_spawner(launcher, id);
                take_reports(launcher);
                known |= signal_container(id, SIGKILL_);
                if (known) {
                        uint64_t noted = id;
                        if (note)
                                __atomic_compare_exchange_n(note, &noted, 0, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
                        return;
                }
                if (look == 0)
                        note = note_abort(launcher, id);
        }
}

int reap_group(int32_t group)
{
        sys2(__NR_kill, -group, SIGKILL_);
        for (;;) {
                long r = sys4(__NR_wait4, -group, 0, WNOHANG | __WALL, 0);
                if (r <= 0)
                        return r != 0;
        }
}

/* What joined a container, and should it have been cut short, what it forked: its group has nobody else in it. */
void reap_helper(int32_t helper)
{
        if (helper <= 0 || reap_group(helper))
                return;
        for (int i = 0; i < CT_SPAWNERS_MAX; i++)
                if (helpers[i] == 0) {
                        helpers[i] = helper;
                        return;
                }
}

/* Whether there are any left. */
int reap_helpers(void)
{
        int left = 0;
        for (int i = 0; i < CT_SPAWNERS_MAX; i++) {
                if (helpers[i] > 0 && reap_group(helpers[i]))
                        helpers[i] = 0;
                left += helpers[i] != 0;
        }
        return left;
}

/* The forwarder that a spawner had ready. */
static void end_spare(int32_t pid)
{
        if (pid <= 0)
                return;
        sys2(__NR_kill, pid, SIGKILL_);
        sys4(__NR_wait4, pid, 0, __WALL, 0);
}

/* The child of a start whose spawner is lost is ours to kill, and to reap whenever the kernel lets it die. */
static void take_orphan(struct launcher *launcher, int i, uint64_t id)
{
        int32_t pid = __atomic_load_n(&launcher->shared->progress[i].pid, __ATOMIC_SEQ_CST);
        reap_helper(__atomic_exchange_n(&launcher->shared->progress[i].helper, 0, __ATOMIC_SEQ_CST));
        int32_t beside[CT_BESIDE];
        for (int k = 0; k < CT_BESIDE; k++)
                beside[k] = __atomic_exchange_n(&launcher->shared->progress[i].beside[k], 0, __ATOMIC_SEQ_CST);
        int32_t forwarder = beside[CT_FORWARDER];
        end_beside(beside);
        reap_beside(beside);
        int32_t ready = __atomic_exchange_n(&launcher->shared->progress[i].spare, 0, __ATOMIC_SEQ_CST);
        if (ready != forwarder)
                end_spare(ready);
        if (pid <= 0 || pid == spawners[i].orphan)
                return;
        int pidfd = (int)sys2(__NR_pidfd_open, pid, 0);
        if (pidfd < 0)
                return;
        spawners[i].orphan = pid;
        sys4(__NR_pidfd_send_signal, pidfd, SIGKILL_, 0, 0);
        reap_later(id, pidfd);
}

/* The plan is the caller's to tear down. */
static void lose_start(struct launcher *launcher, int i, uint64_t id, int error)
{
        take_orphan(launcher, i, id);
        start_failed(launcher, id, launcher->shared->progress[i].step, error, 1);
}

void check_aborts(struct launcher *launcher, uint64_t now)
{
        for (int k = 0; k < CT_ABORTED_MAX && has_room(); k++) {
                uint64_t id = aborts[k].id;
                if (id == 0 || aborts[k].until > now)
                        continue;
                int i = spawner_of(launcher, id);
                if (i >= 0 && !aborts[k].joins && launcher->shared->progress[i].helper > 0) {
                        aborts[k].joins = 1;
                        aborts[k].until = now + JOIN_PATIENCE_NS;
                        continue;
                }
                aborts[k].id = 0;
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

/* Node is gone, and gives up nothing any more. What joins a container may stand in there for as long as that is paused. */
void abort_starts(struct launcher *launcher, int all)
{
        for (int i = 0; i < CT_SPAWNERS_MAX; i++) {
                const struct progress *progress = &launcher->shared->progress[i];
                uint64_t id = __atomic_load_n(&progress->id, __ATOMIC_SEQ_CST);
                if (id == start_of(progress) && id != 0 && progress->aborted != id && (all || progress->helper > 0))
                        abort_start(launcher, id);
        }
}

/* It is dead: what it reported is in the socket, and what its page still names it did not report. */
void spawner_died(struct launcher *launcher, int i)
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
        end_spare(__atomic_exchange_n(&progress->spare, 0, __ATOMIC_SEQ_CST));
        close_watched(spawners[i].pidfd);
        spawners[i] = (struct spawner){.pidfd = -1};
        __atomic_store_n(&progress->id, 0, __ATOMIC_SEQ_CST);
        int left = 0;
        for (int k = 0; k < CT_SPAWNERS_MAX; k++)
                left += spawners[k].pid != 0;
        if (left < 2 && !closing)
                add_spawner(launcher);
}

int spawner_is_busy(const struct launcher *launcher)
{
        for (int i = 0; i < CT_SPAWNERS_MAX; i++)
                if (launcher->shared->progress[i].id != 0)
                        return 1;
        return 0;
}

/* When the first patience ends; 0 = never. */
uint64_t next_abort(void)
{
        uint64_t due = 0;
        for (int k = 0; k < CT_ABORTED_MAX; k++)
                if (aborts[k].id != 0 && (due == 0 || aborts[k].until < due))
                        due = aborts[k].until;
        return due;
}

void first_spawners(struct launcher *launcher)
{
        for (int i = 0; i < CT_SPAWNERS_MAX; i++)
                spawners[i].pidfd = -1;
        add_spawner(launcher);
        add_spawner(launcher);
}

/* Reaps them as well, so that whoever started us finds nothing of ours left. */
void end_spawners(const struct launcher *launcher)
{
        for (int i = 0; i < CT_SPAWNERS_MAX; i++)
                if (spawners[i].pid != 0) {
                        sys2(__NR_kill, spawners[i].pid, SIGKILL_);
                        sys4(__NR_wait4, spawners[i].pid, 0, __WALL, 0);
                        end_spare(launcher->shared->progress[i].spare);
                }
}
