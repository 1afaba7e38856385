/* janitor.c: removes what dead containers leave behind, one after the other, after their exits were reported. */
#include "launcher.h"
#include <linux/prctl.h>

_Noreturn void janitor_main(struct launcher *launcher)
{
        static struct run run;
        static struct progress progress;
        name_process("coracle-clean");
        sys5(__NR_prctl, PR_SET_PDEATHSIG, SIGKILL_, 0, 0, 0);
        sys3(__NR_setpriority, 0, 0, 5);
        close_fd(launcher->requests);
        close_fd(launcher->control);
        close_fd(launcher->events);
        close_fd(launcher->reports[0]);
        close_fd(launcher->reports[1]);
        close_fd(launcher->removals[0]);
        close_fd(launcher->life[1]);
        for (;;) {
                struct removal removal;
                int fds[CT_PASSED_MAX], count;
                long n = receive_message(launcher->removals[1], &removal, sizeof removal, fds, &count, 0);
                if (n == -EINTR)
                        continue;
                if (n <= 0)
                        quit(0);
                removal.step = 0;
                removal.error = count == 1 ? -run_open(&run, fds[0], &progress) : EINVAL;
                if (removal.error == 0) {
                        run.slots[CT_SLOT_PROC] = launcher->proc;
                        removal.error = -run_teardown(&run, &removal.step);
                        run_close(&run);
                }
                for (int i = 0; i < count; i++)
                        close_fd(fds[i]);
                send_message(launcher->removals[1], &removal, sizeof removal, 0, 0, 0);
        }
}
