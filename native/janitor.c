/* janitor.c: removes what dead containers leave behind, after their exits were reported. What stays busy is put off: it waits a
 * little at a time, between the removals of others, and fails when its time is over. */
#include "launcher.h"

#define ATTEMPT_NS 50000000u           /* how long one attempt may hold up the others */
#define PATIENCE_NS 2000000000u        /* from the first attempt to failure: as long as one wait of the plan, in all */

struct work {
        struct removal removal;
        int plan;
        uint64_t until;
};

/* Put off, the longest-waiting first. The supervisor waits for the answers before it sends more than there is room for. */
static struct work put_off[CT_REMOVALS_MAX];
static int put_off_count;

static void answer(const struct launcher *launcher, const struct work *work)
{
        if (work->plan >= 0)
                close_fd(work->plan);
        send_message(launcher->removals[1], &work->removal, sizeof work->removal, 0, 0, 0);
}

/* Every step is fine with what an earlier attempt removed already. */
static void attempt(const struct launcher *launcher, struct work *work)
{
        static struct run run;
        static struct progress progress;
        work->removal.step = 0;
        work->removal.error = -run_open(&run, work->plan, &progress);
        if (work->removal.error == 0) {
                uint64_t now = now_ns();
                run.slots[CT_SLOT_PROC] = launcher->proc;
                run.wait_until = now + ATTEMPT_NS < work->until ? now + ATTEMPT_NS : work->until;
                work->removal.error = -run_teardown(&run, &work->removal.step);
                run_close(&run);
        }
        if (work->removal.error == EBUSY && now_ns() < work->until)
                put_off[put_off_count++] = *work;
        else
                answer(launcher, work);
}

/* Takes a new removal; waits for one when nothing else is to be done. */
static void attempt_new(const struct launcher *launcher)
{
        struct work work = {.plan = -1};
        int fds[CT_PASSED_MAX], count;
        long n = receive_message(launcher->removals[1], &work.removal, sizeof work.removal, fds, &count,
                                 put_off_count > 0 ? MSG_DONTWAIT_ : 0);
        if (n == -EINTR || n == -EAGAIN)
                return;
        if (n <= 0)
                quit(0);
        if (count == 1) {
                work.plan = fds[0];
                work.until = now_ns() + PATIENCE_NS;
                attempt(launcher, &work);
                return;
        }
        for (int i = 0; i < count; i++)
                close_fd(fds[i]);
        work.removal.error = EINVAL;
        answer(launcher, &work);
}

static void attempt_put_off(const struct launcher *launcher)
{
        struct work work = put_off[0];
        put_off_count--;
        for (int i = 0; i < put_off_count; i++)
                put_off[i] = put_off[i + 1];
        attempt(launcher, &work);
}

_Noreturn void janitor_main(struct launcher *launcher)
{
        const int needed[] = {launcher->proc, launcher->removals[1]};
        name_process("coracle-clean");
        follow(launcher->self);
        sys3(__NR_setpriority, 0, 0, 5);
        close_all_but(needed, sizeof needed / sizeof *needed);
        for (;;) {
                attempt_new(launcher);
                if (put_off_count > 0)
                        attempt_put_off(launcher);
        }
}
