/* Loads the filter in the file named by the first argument, then makes the calls whose numbers follow, with arguments
 * of zero, and prints what each gave: "NUMBER ok" or "NUMBER errno". */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv)
{
        static struct sock_filter program[BPF_MAXINSNS];
        int file = open(argv[1], O_RDONLY | O_CLOEXEC);
        ssize_t size = read(file, program, sizeof program);
        struct sock_fprog filter = {.len = size / sizeof *program, .filter = program};

        if (size <= 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
            syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, atoi(argv[2]), &filter) < 0) {
                perror("seccomp");
                return 1;
        }
        for (int i = 3; i < argc; i++) {
                errno = 0;
                if (syscall(atoi(argv[i]), 0, 0, 0, 0, 0, 0) >= 0)
                        printf("%s ok\n", argv[i]);
                else
                        printf("%s %d\n", argv[i], errno);
        }
        return fflush(stdout);
}
