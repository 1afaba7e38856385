/* What libseccomp makes of a profile, for comparison. Reads lines from standard input:
 *     default ACTION
 *     arch TOKEN                      the architectures of the filter, in hexadecimal
 *     rule ACTION NAME [INDEX OP A B]...   as seccomp_rule_add(3) takes them
 * and does with them what runc does: resolve by the native name, ignore unknown ones. Writes the program to the file
 * named by the first argument, and to standard output the names that it does not know ("unknown NAME"), the numbers of
 * the others ("number TOKEN NAME NUMBER") and the largest ordinary one per architecture ("last TOKEN NUMBER"). */
#include <fcntl.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* __ARM_NR_BASE of arm's asm/unistd.h: calls of its own, which say nothing about how new the others are. */
#define FIRST_PRIVATE 0x0f0000

#define CHECK(call)                                                                                                    \
        do {                                                                                                           \
                int result = (call);                                                                                   \
                if (result < 0) {                                                                                      \
                        fprintf(stderr, "%s: %s\n", #call, strerror(-result));                                         \
                        exit(1);                                                                                       \
                }                                                                                                      \
        } while (0)

static uint32_t archs[16];
static int last[16], arch_count;

static void read_rule(scmp_filter_ctx filter, char *words)
{
        uint32_t action = strtoul(strtok(words, " \n"), NULL, 16);
        const char *name = strtok(NULL, " \n"), *word;
        struct scmp_arg_cmp conditions[6];
        unsigned count = 0;

        while ((word = strtok(NULL, " \n")) != NULL && count < 6) {
                unsigned index = atoi(word);
                enum scmp_compare op = atoi(strtok(NULL, " \n"));
                uint64_t a = strtoull(strtok(NULL, " \n"), NULL, 10), b = strtoull(strtok(NULL, " \n"), NULL, 10);
                conditions[count++] = (struct scmp_arg_cmp){index, op, a, b};
        }
        int number = seccomp_syscall_resolve_name(name);
        if (number == __NR_SCMP_ERROR) {
                printf("unknown %s\n", name);
                return;
        }
        for (int i = 0; i < arch_count; i++) {
                int here = seccomp_syscall_resolve_name_arch(archs[i], name);
                if (here >= 0)
                        printf("number %x %s %d\n", archs[i], name, here);
                if (here > last[i] && (archs[i] != SCMP_ARCH_ARM || here < FIRST_PRIVATE))
                        last[i] = here;
        }
        CHECK(seccomp_rule_add_array(filter, action, number, count, conditions));
}

int main(int argc, char **argv)
{
        char line[4096];
        scmp_filter_ctx filter = NULL;
        int native_wanted = 0;

        if (argc != 2)
                return 2;
        while (fgets(line, sizeof line, stdin)) {
                char *rest = strchr(line, ' ') + 1;
                if (strncmp(line, "default ", 8) == 0) {
                        filter = seccomp_init(strtoul(rest, NULL, 16));
                } else if (strncmp(line, "arch ", 5) == 0) {
                        archs[arch_count] = strtoul(rest, NULL, 16);
                        if (archs[arch_count] == seccomp_arch_native())
                                native_wanted = 1;
                        else
                                CHECK(seccomp_arch_add(filter, archs[arch_count]));
                        last[arch_count++] = -1;
                } else {
                        if (!native_wanted) {
                                CHECK(seccomp_arch_remove(filter, seccomp_arch_native()));
                                native_wanted = 1;
                        }
                        read_rule(filter, rest);
                }
        }
        for (int i = 0; i < arch_count; i++)
                printf("last %x %d\n", archs[i], last[i]);
        int file = open(argv[1], O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
        if (file < 0)
                return 1;
        CHECK(seccomp_export_bpf(filter, file));
        return 0;
}
