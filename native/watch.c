/* watch.c: for a service that starts again what lost its monitor. `coracle-watch FILE PROGRAM [ARGUMENT...]` runs the program at
 * once, and again whenever a process that had FILE open for writing has closed it, by its death too: monitors of containers with a
 * restart policy have it open as long as they live. Idle it costs some 20 KB. It ends when it cannot watch any more. */
#include "syscalls.h"

/* inotify(7) */
#define IN_ATTRIB_ 0x4
#define IN_CLOSE_WRITE_ 0x8
#define IN_MOVE_SELF_ 0x800

int main(int argc, char **argv, char **envp);

static int complain(const char *what, const char *subject, long error)
{
        char text[4352], *end = text_append(text, "coracle-watch: ");
        end = text_append(text_append(end, what), " ");
        if (text_length(subject) < 4096)
                end = text_append(end, subject);
        end = text_append(text_number(text_append(end, ": errno "), (uint64_t)-error), "\n");
        sys3(__NR_write, 2, text, end - text);
        return 1;
}

/* Again is fine. Of a file that was removed the watch stays, for those who have it open; its name is watched anew. */
static long watch(int inotify, const char *file)
{
        const int what = IN_CLOSE_WRITE_ | IN_ATTRIB_ | IN_MOVE_SELF_;
        long r = sys3(__NR_inotify_add_watch, inotify, file, what);
        if (r != -ENOENT)
                return r;
        r = sys4(__NR_openat, AT_FDCWD, file, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (r < 0)
                return r;
        close_fd((int)r);
        return sys3(__NR_inotify_add_watch, inotify, file, what);
}

/* What happens meanwhile waits in the inotify descriptor. */
static long run_program(char **argv, char **envp)
{
        long pid = sys5(__NR_clone, SIGCHLD_, 0, 0, 0, 0);
        if (pid == 0) {
                complain("cannot run", argv[0], sys3(__NR_execve, argv[0], argv, envp));
                quit(127);
        }
        if (pid > 0)
                while (sys4(__NR_wait4, pid, 0, 0, 0) == -EINTR)
                        ;
        return pid;
}

int main(int argc, char **argv, char **envp)
{
        char events[4096] __attribute__((aligned(8)));
        if (argc < 3)
                return complain("needs FILE PROGRAM [ARGUMENT...]", "", -EINVAL);
        long r = sys1(__NR_inotify_init1, O_CLOEXEC);
        if (r < 0)
                return complain("cannot watch", argv[1], r);
        int inotify = (int)r;
        for (;;) {
                r = watch(inotify, argv[1]);
                if (r < 0)
                        return complain("cannot watch", argv[1], r);
                r = run_program(argv + 2, envp);
                if (r < 0)
                        return complain("cannot run", argv[2], r);
                do
                        r = sys3(__NR_read, inotify, events, sizeof events);
                while (r == -EINTR);
                if (r < 0)
                        return complain("cannot watch", argv[1], r);
        }
}
