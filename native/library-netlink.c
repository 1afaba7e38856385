/* Requests to the kernel over netlink(7). library.h has the contract. */
#include "library.h"

#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define PATIENCE_S 10

/* Acknowledgements count down; NLMSG_DONE ends a list. The first refusal is the result, when the rest has been read. */
static int64_t read_answers(int file, char *answer, int64_t size, int32_t acks)
{
        int64_t have = 0, result = 0;
        while (acks > 0) {
                _Alignas(struct nlmsghdr) char buffer[65536];
                ssize_t length = recv(file, buffer, sizeof buffer, 0);
                if (length < 0 && errno == EINTR)
                        continue;
                if (length <= 0)
                        return length < 0 ? -errno : -EIO;
                for (size_t at = 0; at + sizeof(struct nlmsghdr) <= (size_t)length && acks > 0;) {
                        const struct nlmsghdr *head = (const struct nlmsghdr *)(buffer + at);
                        size_t bytes = head->nlmsg_len;
                        if (bytes < sizeof *head || at + bytes > (size_t)length)
                                return -EPROTO;
                        if (head->nlmsg_type == NLMSG_ERROR && bytes >= sizeof *head + sizeof(int32_t)) {
                                int32_t error;
                                memcpy(&error, head + 1, sizeof error);
                                if (error < 0 && result == 0)
                                        result = error;
                                acks--;
                        } else if (head->nlmsg_type == NLMSG_DONE) {
                                acks--;
                        } else if (head->nlmsg_type >= NLMSG_MIN_TYPE) {
                                if (have + (int64_t)NLMSG_ALIGN(bytes) > size)
                                        return -EMSGSIZE;
                                memcpy(answer + have, head, bytes);
                                have += (int64_t)NLMSG_ALIGN(bytes);
                        }
                        at += NLMSG_ALIGN(bytes);
                }
        }
        return result < 0 ? result : have;
}

int64_t ct_netlink(int32_t protocol, const void *request, int64_t bytes, void *answer, int64_t size, int32_t acks)
{
        struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
        struct timeval patience = {.tv_sec = PATIENCE_S};
        int file = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
        if (file < 0)
                return -errno;
        int64_t result = setsockopt(file, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        if (result == 0)
                result = sendto(file, request, (size_t)bytes, 0, (struct sockaddr *)&kernel, sizeof kernel);
        result = result < 0 ? -errno : read_answers(file, answer, size, acks);
        close(file);
        return result;
}
