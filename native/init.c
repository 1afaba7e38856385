/* init.c: a minimal pid 1 for `--init`: starts one program, hands signals on to it, reaps whatever is orphaned, and ends as the
 * program ends. `docker-init -- PROGRAM [ARGUMENT...]`. */
#include "syscalls.h"
#include <linux/wait.h>

#define SIGTTIN_ 21
#define SIGTTOU_ 22
#define TIOCSPGRP_ 0x5410

int main(int argc, char **argv, char **envp);

struct signal_info {
        int32_t number, error, code, rest[29];
};

static void complain(const char *program, long error)
{
        char text[512], *end = text_append(text, "docker-init: exec ");
        if (text_length(program) < 300)
                end = text_append(end, program);
        end = text_append(end, " failed: ");
        end = text_append(end, error == -ENOENT ? "No such file or directory" : error == -EACCES ? "Permission denied" : "errno ");
        if (error != -ENOENT && error != -EACCES)
                end = text_number(end, (uint64_t)-error);
        end = text_append(end, "\n");
        sys3(__NR_write, 2, text, end - text);
}

/* execvp(3): a name without a slash is looked for in each directory of PATH. */
static long execute(char **argv, char **envp)
{
        char path[4096];
        const char *search = "";
        long result = -ENOENT;
        for (const char *s = argv[0]; *s; s++)
                if (*s == '/')
                        return sys3(__NR_execve, argv[0], argv, envp);
        for (char **variable = envp; *variable; variable++)
                if ((*variable)[0] == 'P' && (*variable)[1] == 'A' && (*variable)[2] == 'T' && (*variable)[3] == 'H' && (*variable)[4] == '=')
                        search = *variable + 5;
        for (;;) {
                size_t length = 0;
                while (search[length] && search[length] != ':')
                        length++;
                if (length + text_length(argv[0]) + 2 < sizeof path) {
                        char *end = path;
                        for (size_t i = 0; i < length; i++)
                                *end++ = search[i];
                        end = length ? text_append(end, "/") : end;
                        text_append(end, argv[0]);
                        long r = sys3(__NR_execve, path, argv, envp);
                        if (r != -ENOENT && r != -ENOTDIR)
                                result = r;
                }
                if (!search[length])
                        return result;
                search += length + 1;
        }
}

static _Noreturn void become_program(char **argv, char **envp)
{
        uint64_t none = 0;
        int group = (int)sys0(__NR_getpid);
        sys2(__NR_setpgid, 0, 0);
        sys3(__NR_ioctl, 0, TIOCSPGRP_, &group); /* no terminal: no matter */
        sys4(__NR_rt_sigprocmask, 2 /* SIG_SETMASK */, &none, 0, 8);
        long error = execute(argv, envp);
        complain(argv[0], error);
        quit(error == -ENOENT || error == -ENOTDIR ? 127 : 126);
}

/* Reaps every zombie; the exit code of the program when it was among them, else -1. */
static int reap(long program)
{
        int code = -1, status;
        long pid;
        while ((pid = sys4(__NR_wait4, -1, &status, WNOHANG, 0)) > 0)
                if (pid == program)
                        code = (status & 0x7f) ? 128 + (status & 0x7f) : (status >> 8) & 0xff;
        return code;
}

int main(int argc, char **argv, char **envp)
{
        uint64_t all = ~(uint64_t)0;
        int first = argc > 1 && text_equal(argv[1], "--") ? 2 : 1;
        if (argc <= first)
                return 100;
        sys4(__NR_rt_sigprocmask, 2 /* SIG_SETMASK */, &all, 0, 8);
        long program = sys5(__NR_clone, SIGCHLD_, 0, 0, 0, 0);
        if (program == 0)
                become_program(argv + first, envp);
        if (program < 0)
                return 111;
        for (;;) {
                struct signal_info info;
                long signal = sys4(__NR_rt_sigtimedwait, &all, &info, 0, 8);
                if (signal == SIGCHLD_) {
                        int code = reap(program);
                        if (code >= 0)
                                return code;
                } else if (signal > 0 && signal != SIGTTIN_ && signal != SIGTTOU_) {
                        sys2(__NR_kill, program, signal);
                }
        }
}
