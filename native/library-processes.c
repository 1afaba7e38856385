/* Processes by pid and start time. library.h has the contract. */
#include "library.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Field 22 of proc_pid_stat(5), counted after the last ')': the command name before it may hold any byte. A zombie does and
 * holds nothing any more: it counts as gone, however long its parent takes to ask about it. */
static int64_t start_time_of(int pid)
{
        char path[32], text[1024];
        snprintf(path, sizeof path, "/proc/%d/stat", pid);
        int file = open(path, O_RDONLY | O_CLOEXEC);
        if (file < 0)
                return errno == ENOENT ? -ESRCH : -errno;
        ssize_t length = read(file, text, sizeof text - 1);
        int error = errno;
        close(file);
        if (length < 0)
                return -error;
        text[length] = 0;
        char *at = strrchr(text, ')');
        if (at != NULL && at[1] == ' ' && (at[2] == 'Z' || at[2] == 'X'))
                return -ESRCH;
        for (int field = 2; at != NULL && field < 22; field++)
                at = strchr(at + 1, ' ');
        return at == NULL ? -EIO : strtoll(at + 1, NULL, 10);
}

int64_t ct_process_start_time(int32_t pid)
{
        return start_time_of(pid);
}

/* The start time is read after the pidfd was opened: from then on the number cannot mean another process. */
int64_t ct_open_process(int32_t pid, int64_t start_time)
{
        int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
        if (pidfd < 0)
                return -errno;
        int64_t found = start_time_of(pid);
        if (found == start_time)
                return pidfd;
        close(pidfd);
        return found < 0 ? found : -ESRCH;
}

int64_t ct_signal_process(int32_t pid, int64_t start_time, int32_t signal)
{
        int64_t pidfd = ct_open_process(pid, start_time), result = pidfd < 0 ? pidfd : 0;
        if (result == 0 && syscall(SYS_pidfd_send_signal, (int)pidfd, signal, NULL, 0) < 0)
                result = -errno;
        if (pidfd >= 0)
                close((int)pidfd);
        return result;
}
