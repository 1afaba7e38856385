/* beside.c: processes that serve a container from outside as long as it runs: one that holds its ports (forward.c), one that
 * resolves names for it (resolve.c). Each is a child of whoever watches over the container, supervisor or monitor, which ends and
 * reaps it when the container has ended. It has no privileges, the descriptors that it serves with, and the container's pidfd. */
#include "beside.h"
#include <linux/capability.h>
#include <linux/prctl.h>
#include <linux/wait.h>

#define NOBODY 65534

static int give_up_privileges(int root)
{
        struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
        struct __user_cap_data_struct none[2] = {{0}, {0}};
        long r = 0;
        if (root >= 0)
                r = sys1(__NR_fchdir, root);
        if (r == 0 && root >= 0)
                r = sys1(__NR_chroot, ".");
        if (r < 0)
                return (int)r;
        sys2(__NR_setgroups, 0, 0);
        sys3(__NR_setresgid, NOBODY, NOBODY, NOBODY);
        sys3(__NR_setresuid, NOBODY, NOBODY, NOBODY);
        sys2(__NR_capset, &head, none);
        sys5(__NR_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        sys5(__NR_prctl, PR_SET_DUMPABLE, 0, 0, 0, 0);
        /* After the last change of ids, which clears it. */
        return (int)sys5(__NR_prctl, PR_SET_PDEATHSIG, SIGKILL_, 0, 0, 0);
}

long fork_beside(int32_t *noted, const char *name, const int *needed, int count, int root)
{
        long watcher = sys0(__NR_getppid);
        /* Known before it runs: should the caller die now, its page tells of it. */
        long pid = sys5(__NR_clone, CLONE_PARENT | CLONE_PARENT_SETTID | SIGCHLD_, 0, noted, 0, 0);
        if (pid != 0)
                return pid;
        name_process(name);
        sys0(__NR_setsid);
        close_all_but(needed, count);
        if (give_up_privileges(root) < 0 || sys0(__NR_getppid) != watcher)     /* it died before its death could be asked for */
                quit(111);
        return 0;
}

static void reap(int32_t *pid)
{
        if (*pid > 0)
                sys4(__NR_wait4, *pid, 0, __WALL, 0);
        *pid = 0;
}

void end_beside(int32_t pids[CT_BESIDE])
{
        for (int i = 0; i < CT_BESIDE; i++)
                if (pids[i] > 0)
                        sys2(__NR_kill, pids[i], SIGKILL_);
        reap(&pids[CT_FORWARDER]);     /* the ports are free then */
}

void reap_beside(int32_t pids[CT_BESIDE])
{
        for (int i = 0; i < CT_BESIDE; i++)
                reap(&pids[i]);
}
