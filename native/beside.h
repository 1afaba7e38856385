/* beside.h: processes that serve a container from outside as long as it runs: see beside.c. */
#ifndef CT_BESIDE_H
#define CT_BESIDE_H
#include "launcher.h"

#define AF_INET_ 2
#define AF_INET6_ 10
#define SOCK_STREAM_ 1
#define SOCK_DGRAM_ 2

struct address {                       /* struct sockaddr_in and sockaddr_in6 */
        uint16_t family, port;
        uint32_t ipv4, rest[5];
};

/* Accepted connections have it from their listener. */
static inline long send_at_once(int connection)
{
        int one = 1;
        return sys5(__NR_setsockopt, connection, 6 /* IPPROTO_TCP */, 1 /* TCP_NODELAY */, &one, sizeof one);
}

static inline uint32_t address_size(const struct address *address)
{
        return address->family == AF_INET_ ? 16 : 28;
}

/* Forks one as the caller's sibling: whoever watches over the container reaps it. In the new process 0, with none but these
 * descriptors open and everything given up that it can do without; in the caller its pid, or -errno.
 * noted: a place of the progress page for the pid. root: a directory to be its root from then on, or -1. */
long fork_beside(int32_t *noted, const char *name, const int *needed, int count, int root);

#endif
