/* hello.c: the only file of the built-in hello-world image. Says what happened, with facts measured from the inside,
 * and what to try next. No libc: the whole text is put together in one buffer and written once. */
#include "syscalls.h"
#include <linux/utsname.h>

#define TEXT_MAX 4096
#define NAMESPACES 7

static const char *const namespaces[NAMESPACES] = {"cgroup", "ipc", "mnt", "net", "pid", "user", "uts"};

struct directory_entry { /* getdents64(2) */
        uint64_t inode;
        int64_t offset;
        uint16_t length;
        uint8_t type;
        char name[];
};

static uint64_t decimal(const char *s)
{
        uint64_t v = 0;
        for (; *s >= '0' && *s <= '9'; s++)
                v = v * 10 + (uint64_t)(*s - '0');
        return v;
}

/* The value of NAME= in the environment, or NULL. */
static const char *variable(char **envp, const char *name)
{
        size_t n = text_length(name);
        for (; *envp; envp++) {
                size_t i = 0;
                while (i < n && (*envp)[i] == name[i])
                        i++;
                if (i == n)
                        return *envp + n;
        }
        return NULL;
}

/* How many processes /proc shows; 0 when it is not mounted. */
static uint64_t visible_processes(void)
{
        char entries[2048] __attribute__((aligned(8)));
        uint64_t count = 0;
        int fd = (int)sys4(__NR_openat, AT_FDCWD, "/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
        if (fd < 0)
                return 0;
        for (long n; (n = sys3(__NR_getdents64, fd, entries, sizeof entries)) > 0;) {
                for (long at = 0; at < n;) {
                        struct directory_entry *entry = (struct directory_entry *)(entries + at);
                        count += entry->name[0] >= '1' && entry->name[0] <= '9';
                        at += entry->length;
                }
        }
        close_fd(fd);
        return count;
}

/* Appends "net 4026532281": /proc/self/ns/net is a link to "net:[4026532281]" (namespaces(7)). */
static char *append_namespace(char *to, const char *name)
{
        char path[32], target[64];
        text_append(text_append(path, "/proc/self/ns/"), name);
        long n = sys4(__NR_readlinkat, AT_FDCWD, path, target, sizeof target - 1);
        to = text_append(text_append(to, name), " ");
        if (n < 0)
                return text_append(to, "unknown");
        target[n] = 0;
        const char *id = target;
        while (*id && *id != '[')
                id++;
        return text_number(to, decimal(*id ? id + 1 : id));
}

/* Appends nanoseconds as "1.07 ms". */
static char *append_milliseconds(char *to, uint64_t ns)
{
        uint64_t hundredths = (ns + 5000) / 10000;
        to = text_append(text_number(to, hundredths / 100), ".");
        to = text_number(to, hundredths / 10 % 10);
        return text_append(text_number(to, hundredths % 10), " ms");
}

static char *append_facts(char *to, uint64_t began, char **envp)
{
        struct new_utsname host;
        uint64_t processes = visible_processes();
        const char *requested = variable(envp, "CORACLE_REQUESTED_NS="); /* CLOCK_MONOTONIC, set for this image only */

        if (requested && decimal(requested) <= began) {
                to = text_append(to, "  started     ");
                to = append_milliseconds(to, began - decimal(requested));
                to = text_append(to, " after it was asked for (at its first instruction)\n");
        }
        to = text_append(to, "  pid         ");
        to = text_number(to, (uint64_t)sys0(__NR_getpid));
        if (processes) {
                to = text_append(text_number(text_append(to, ", and it can see "), processes), " process");
                to = text_append(to, processes == 1 ? ": itself" : "es");
        }
        if (sys1(__NR_uname, &host) == 0)
                to = text_append(text_append(to, "\n  hostname    "), host.nodename);
        to = text_append(to, "\n  namespaces  ");
        for (int i = 0; i < NAMESPACES; i++) {
                if (i)
                        to = text_append(to, i == 4 ? ",\n              " : ", ");
                to = append_namespace(to, namespaces[i]);
        }
        return text_append(to, "\n");
}

static int write_all(const char *text, size_t n)
{
        while (n) {
                long wrote = sys3(__NR_write, 1, text, n);
                if (wrote == -EINTR)
                        continue;
                if (wrote <= 0)
                        return -1;
                text += wrote;
                n -= (size_t)wrote;
        }
        return 0;
}

int main(int argc, char **argv, char **envp)
{
        uint64_t began = now_ns(); /* before anything else: it is the end of the start */
        char text[TEXT_MAX], *end = text;
        (void)argc, (void)argv;

        end = text_append(end, "Hello from Coracle!\n\n"
                "This was printed in a container, so this host can start them. What happened:\n"
                " 1. coracle turned its built-in image hello-world into a list of steps.\n"
                " 2. Its launcher followed them: namespaces, a root directory, limits.\n"
                " 3. The new process became this program, the only file here. It looked around:\n\n");
        end = append_facts(end, began, envp);
        end = text_append(end, "\n"
                "Compare the namespaces with your own: ls -l /proc/self/ns\n\n"
                "To try next:\n"
                "  npx --no coracle run --rm host-shell ls -l /     programs of this very host\n"
                "  npx --no coracle run --rm --explain hello-world  each step and its time\n"
                "  npx --no coracle doctor                          what this host can enforce\n"
                "From your own program: README.md and the folder examples/.\n");
        return write_all(text, (size_t)(end - text)) < 0;
}
