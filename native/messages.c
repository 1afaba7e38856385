/* messages.c: messages with descriptors over unix sockets, and the clone that needs assembly. */
#include "launcher.h"
#include <linux/prctl.h>

struct message {
        void *name;
        uint32_t name_length;
        struct part { void *base; size_t length; } *parts;
        size_t part_count;
        void *control;
        size_t control_length;
        int flags;
};

struct rights {
        size_t length;
        int level, type;               /* SOL_SOCKET, SCM_RIGHTS */
        int fds[CT_PASSED_MAX];
};

#define MSG_CMSG_CLOEXEC_ 0x40000000
#define SCM_RIGHTS_ 1
#define SOL_SOCKET_ 1

long send_message(int socket, const void *bytes, size_t length, const int *fds, int count, int flags)
{
        struct part part = {(void *)(uintptr_t)bytes, length};
        struct rights rights = {offsetof(struct rights, fds) + sizeof(int) * (size_t)count, SOL_SOCKET_, SCM_RIGHTS_, {0}};
        struct message message = {.parts = &part, .part_count = 1};
        for (int i = 0; i < count; i++)
                rights.fds[i] = fds[i];
        if (count > 0) {
                message.control = &rights;
                message.control_length = (rights.length + 7) & ~(size_t)7;
        }
        return sys3(__NR_sendmsg, socket, &message, flags | MSG_NOSIGNAL_);
}

long receive_message(int socket, void *bytes, size_t length, int *fds, int *count, int flags)
{
        struct part part = {bytes, length};
        struct rights rights = {0};
        struct message message = {.parts = &part, .part_count = 1, .control = &rights, .control_length = sizeof rights};
        long n = sys3(__NR_recvmsg, socket, &message, flags | MSG_CMSG_CLOEXEC_);
        *count = 0;
        if (n >= 0 && message.control_length >= offsetof(struct rights, fds) && rights.type == SCM_RIGHTS_) {
                *count = (int)((rights.length - offsetof(struct rights, fds)) / sizeof(int));
                for (int i = 0; i < *count; i++)
                        fds[i] = rights.fds[i];
        }
        return n;
}

#if defined(__x86_64__)
__asm__(".text\n.globl ct_clone3\n.type ct_clone3,@function\nct_clone3:\n"
        "\tmov %rdx,%r8\n\tmov %rcx,%r9\n\tmov $435,%eax\n\tsyscall\n\ttest %rax,%rax\n\tjz 1f\n\tret\n"
        "1:\txor %ebp,%ebp\n\tand $-16,%rsp\n\tmov %r9,%rdi\n\tcall *%r8\n\tmov %eax,%edi\n\tmov $60,%eax\n\tsyscall\n\thlt\n"
        ".size ct_clone3,.-ct_clone3\n");
#else
__asm__(".text\n.globl ct_clone3\n.type ct_clone3,%function\nct_clone3:\n"
        "\tmov x8,#435\n\tsvc #0\n\tcbz x0,1f\n\tret\n"
        "1:\tmov x29,#0\n\tmov x30,#0\n\tmov x0,x3\n\tblr x2\n\tmov x8,#93\n\tsvc #0\n\tbrk #1\n"
        ".size ct_clone3,.-ct_clone3\n");
#endif

long fork_process(void)
{
        return sys5(__NR_clone, SIGCHLD_, 0, 0, 0, 0);
}

void follow(int parent)
{
        sys5(__NR_prctl, PR_SET_PDEATHSIG, SIGKILL_, 0, 0, 0);
        if (sys0(__NR_getppid) != parent)
                quit(111);
}

void name_process(const char *name)
{
        sys5(__NR_prctl, PR_SET_NAME, name, 0, 0, 0);
}

/* What is forked from a process that holds descriptors of containers must not keep them open. */
void close_all_but(const int *needed, int count)
{
        int highest = 2;
        for (int i = 0; i < count; i++)
                if (needed[i] > highest)
                        highest = needed[i];
        for (int fd = 3; fd <= highest; fd++) {
                int keep = 0;
                for (int i = 0; i < count; i++)
                        keep |= needed[i] == fd;
                if (!keep)
                        close_fd(fd);
        }
        sys3(__NR_close_range, highest + 1, ~0u, 0);
}
