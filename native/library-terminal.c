/* Terminals: the end that this process holds. library.h has the contract. */
#include "library.h"

#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <termios.h>

/* -EAGAIN when nothing was sent. */
int64_t ct_receive_descriptor(int32_t socket)
{
        char byte;
        struct iovec part = {&byte, 1};
        union {
                struct cmsghdr align;
                char bytes[CMSG_SPACE(sizeof(int))];
        } control = {0};
        struct msghdr message = {
                .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
        ssize_t n = recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        struct cmsghdr *head = n > 0 ? CMSG_FIRSTHDR(&message) : NULL;
        int descriptor;
        if (n < 0)
                return -errno;
        if (head == NULL || head->cmsg_type != SCM_RIGHTS || head->cmsg_len != CMSG_LEN(sizeof descriptor))
                return -EPROTO;
        memcpy(&descriptor, CMSG_DATA(head), sizeof descriptor);
        return descriptor;
}

int64_t ct_set_terminal_size(int32_t terminal, uint32_t rows, uint32_t columns)
{
        struct winsize size = {.ws_row = (unsigned short)rows, .ws_col = (unsigned short)columns};
        return ct_result(ioctl(terminal, TIOCSWINSZ, &size));
}

/* As cfmakeraw(3): keys go through as they are typed, and output as it was written. */
int64_t ct_make_raw(int32_t terminal, void *before, int64_t size)
{
        struct termios raw;
        if (size < (int64_t)sizeof raw)
                return -EINVAL;
        if (tcgetattr(terminal, &raw) < 0)
                return -errno;
        memcpy(before, &raw, sizeof raw);
        cfmakeraw(&raw);
        return ct_result(tcsetattr(terminal, TCSANOW, &raw));
}

int64_t ct_restore_terminal(int32_t terminal, const void *before)
{
        return ct_result(tcsetattr(terminal, TCSANOW, before));
}

int64_t ct_readable(int32_t file)
{
        int bytes = 0;
        return ioctl(file, FIONREAD, &bytes) < 0 ? -errno : bytes;
}
