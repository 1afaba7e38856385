/* Starting the launcher, and sending it plans. library.h has the contract. */
#include "library.h"

#include "abi.h"
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef AT_EMPTY_PATH
#define AT_EMPTY_PATH 0x1000
#endif

#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)
#define STACK_BYTES 65536
#define CT_MFD_EXEC 0x10 /* memfd_create(2), Linux 6.3: with vm.memfd_noexec=1 it has to be asked for */

/* A sealed copy in memory: nobody can write to the launcher through /proc/PID/exe (CVE-2019-5736). */
static int sealed_copy(const char *path)
{
        struct stat file;
        int from = open(path, O_RDONLY | O_CLOEXEC);
        if (from < 0)
                return -errno;
        int copy = (int)syscall(SYS_memfd_create, "coracle-launcher", MFD_CLOEXEC | MFD_ALLOW_SEALING | CT_MFD_EXEC);
        if (copy < 0 && errno == EINVAL) /* before 6.3 every memfd may be executed and nobody needs to say so */
                copy = (int)syscall(SYS_memfd_create, "coracle-launcher", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        int result = copy < 0 || fstat(from, &file) < 0 ? -errno : 0;
        while (result == 0 && file.st_size > 0) {
                ssize_t n = sendfile(copy, from, NULL, (size_t)file.st_size);
                if (n <= 0)
                        result = n < 0 ? -errno : -EIO;
                else
                        file.st_size -= n;
        }
        if (result == 0 && fcntl(copy, F_ADD_SEALS, SEALS) < 0)
                result = -errno;
        close(from);
        if (result < 0 && copy >= 0)
                close(copy);
        return result < 0 ? result : copy;
}

struct child {
        int program, sockets[3], failure;
        char *environment[1], *arguments[2];
};

/* Shares our memory and runs while the calling thread is suspended: system calls and its own stack only. */
static int become_launcher(void *argument)
{
        struct child *child = argument;
        int high[4];
        for (int i = 0; i < 3; i++)
                high[i] = fcntl(child->sockets[i], F_DUPFD_CLOEXEC, 16);
        high[3] = fcntl(child->program, F_DUPFD_CLOEXEC, 16);
        for (int i = 0; i < 3; i++)
                if (high[i] < 0 || dup2(high[i], 3 + i) < 0)
                        goto failed;
        if (high[3] < 0 || syscall(SYS_close_range, 6, ~0u, 4 /* CLOSE_RANGE_CLOEXEC */) < 0)
                goto failed;
        syscall(SYS_execveat, high[3], "", child->arguments, child->environment, AT_EMPTY_PATH);
failed:
        child->failure = errno;
        _exit(127);
}

/* Never fork: it costs 12-42 us per MB of the caller's memory. No exit signal: the caller's SIGCHLD handling never sees us. */
int64_t ct_launcher_start(const char *path, int32_t *sockets)
{
        static char name[] = "coracle-launcher";
        struct child child = {.arguments = {name, NULL}};
        int pairs[3][2] = {{-1, -1}, {-1, -1}, {-1, -1}};
        sigset_t all, before;
        int64_t result = 0;
        void *stack = MAP_FAILED;
        child.program = sealed_copy(path);
        if (child.program < 0)
                return child.program;
        for (int i = 0; i < 3 && result == 0; i++) {
                int type = (i < 2 ? SOCK_SEQPACKET : SOCK_STREAM) | SOCK_CLOEXEC;
                result = socketpair(AF_UNIX, type, 0, pairs[i]) < 0 ? -errno : 0;
                child.sockets[i] = pairs[i][1];
        }
        if (result == 0) {
                stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
                result = stack == MAP_FAILED ? -errno : 0;
        }
        if (result == 0) {
                sigfillset(&all);
                pthread_sigmask(SIG_BLOCK, &all, &before);
                int pid = clone(become_launcher, (char *)stack + STACK_BYTES, CLONE_VM | CLONE_VFORK, &child);
                result = pid < 0 ? -errno : pid;
                pthread_sigmask(SIG_SETMASK, &before, NULL);
                if (pid > 0 && child.failure != 0) {
                        waitpid(pid, NULL, __WALL);
                        result = -child.failure;
                }
        }
        if (stack != MAP_FAILED)
                munmap(stack, STACK_BYTES);
        close(child.program);
        for (int i = 0; i < 3; i++) {
                if (pairs[i][1] >= 0)
                        close(pairs[i][1]);
                if (result < 0 && pairs[i][0] >= 0)
                        close(pairs[i][0]);
                sockets[i] = pairs[i][0];
        }
        return result;
}

/* 1 when the launcher was reaped, 0 while it lives. */
int64_t ct_launcher_reap(int32_t pid)
{
        int64_t result = waitpid(pid, NULL, WNOHANG | __WALL);
        return result > 0 ? 1 : ct_result(result);
}

/* Both ends of a connected socket: SEQPACKET, or STREAM. */
int64_t ct_socket_pair(int32_t *ends, int32_t stream)
{
        return ct_result(socketpair(AF_UNIX, (stream ? SOCK_STREAM : SOCK_SEQPACKET) | SOCK_CLOEXEC, 0, ends));
}

/* A plan as the launcher reads it: a sealed file in memory. */
int64_t ct_plan_file(const void *plan, int64_t bytes)
{
        int copy = (int)syscall(SYS_memfd_create, "coracle-plan", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        if (copy < 0)
                return -errno;
        for (int64_t done = 0; done < bytes;) {
                ssize_t n = write(copy, (const char *)plan + done, (size_t)(bytes - done));
                if (n < 0) {
                        int error = errno;
                        close(copy);
                        return -error;
                }
                done += n;
        }
        fcntl(copy, F_ADD_SEALS, SEALS);
        return copy;
}

int64_t ct_send(int32_t socket, const void *request, const void *plan, int64_t plan_bytes, const int32_t *fds, int32_t count)
{
        struct iovec part = {(void *)(uintptr_t)request, sizeof(struct ct_request)};
        union {
                struct cmsghdr align;
                char bytes[CMSG_SPACE(sizeof(int) * CT_PASSED_MAX)];
        } control = {0};
        struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
        int passed[CT_PASSED_MAX], total = 0;
        if (count < 0 || count > CT_PASSED_MAX - 1)
                return -EINVAL;
        if (plan_bytes > 0) {
                int64_t copy = ct_plan_file(plan, plan_bytes);
                if (copy < 0)
                        return copy;
                passed[total++] = (int)copy;
        }
        for (int i = 0; i < count; i++)
                passed[total++] = fds[i];
        if (total > 0) {
                message.msg_control = control.bytes;
                message.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)total);
                struct cmsghdr *head = CMSG_FIRSTHDR(&message);
                head->cmsg_level = SOL_SOCKET;
                head->cmsg_type = SCM_RIGHTS;
                head->cmsg_len = CMSG_LEN(sizeof(int) * (size_t)total);
                memcpy(CMSG_DATA(head), passed, sizeof(int) * (size_t)total);
        }
        int64_t result = ct_result(sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL));
        if (plan_bytes > 0)
                close(passed[0]);
        return result < 0 ? result : 0;
}
