/* monitor-journal.c: a container's output as entries of systemd-journald, by the protocol that libsystemd speaks:
 * https://systemd.io/JOURNAL_NATIVE_PROTOCOL/. What each entry says of its container came with the orders. */
#include "monitor.h"
#include <linux/poll.h>
#include <linux/uio.h>

#define AF_UNIX_ 1
#define SOCK_DGRAM_NONBLOCK (2 | O_NONBLOCK | O_CLOEXEC)
#define PATIENCE_NS 50000000           /* for the journal to read what is queued; one that does not read at all costs this once */

static int ignores_us;

int open_journal(void)
{
        struct {
                uint16_t family;
                char path[JOURNAL_PATH_SIZE];
        } address = {AF_UNIX_, ""};
        const char *path = orders_text(orders()->log_name);
        text_append(address.path, path);
        long fd = sys3(__NR_socket, AF_UNIX_, SOCK_DGRAM_NONBLOCK, 0);
        if (fd < 0)
                return (int)fd;
        long r = sys3(__NR_connect, fd, &address, 2 + text_length(path) + 1);
        if (r < 0)
                close_fd((int)fd);
        return (int)(r < 0 ? r : fd);
}

/* MESSAGE comes with its length, 64 bits little-endian: it may hold newlines, or anything else. */
int send_to_journal(int fd, int stream, const char *bytes, uint32_t length, int whole)
{
        char head[96], *end = text_append(head, stream == 0 ? "PRIORITY=6\n" : "PRIORITY=3\n");
        if (!whole)
                end = text_append(end, "CONTAINER_PARTIAL_MESSAGE=true\n");
        end = text_append(end, "MESSAGE\n");
        for (int i = 0; i < 8; i++)
                *end++ = (char)((uint64_t)length >> (8 * i));
        const struct iovec parts[] = {
                {(void *)(uintptr_t)(orders_bytes + orders()->log_attributes), orders()->log_fields},
                {head, (size_t)(end - head)},
                {(void *)(uintptr_t)bytes, length},
                {(void *)(uintptr_t)"\n", 1},
        };
        for (;;) {
                struct ct_timespec patience = {0, ignores_us ? 0 : PATIENCE_NS};
                struct pollfd polled = {fd, POLLOUT, 0};
                long n = sys3(__NR_writev, fd, parts, sizeof parts / sizeof *parts);
                if (n == -EINTR)
                        continue;
                ignores_us = n == -EAGAIN && (ignores_us || sys5(__NR_ppoll, &polled, 1, &patience, 0, 8) <= 0);
                if (n != -EAGAIN || ignores_us)
                        return n < 0 ? (int)n : 0;
        }
}
