/* resolve.c: the name server of one container, at 127.0.0.11 of its network namespace. The sockets that it listens on were made in
 * there; the process itself is outside, where it asks the host's name servers what the container's networks do not know. It trusts
 * neither side: whatever comes from inside or from a server costs a bounded amount of memory and time. */
#include "resolve.h"
#include <linux/poll.h>

#define DATAGRAMS_MOST 64              /* taken at a time, before the others have their turn */
#define PATIENCE_NS 4500000000u        /* for all servers together: programs ask again after five seconds */

struct pending {
        uint32_t attempt;
        uint64_t due;
        uint16_t id, length;
        int refusal;                   /* of the last server that answered */
        struct address client;
        struct dns_query query;
        uint8_t asked[DNS_QUERY_MAX];
};

struct ct_resolver wanted;
struct names names;
static struct found found;
static struct pending pending[PENDING_MAX];
static int asking[PENDING_MAX];        /* connected to the server that is asked for each now; -1 = free. Apart: the rest is not touched then */
static uint8_t datagram[65536], answered[DNS_ANSWER_MAX];
static int udp, tcp;
static uint32_t turns;

uint32_t attempts(void)
{
        return wanted.servers > 1 ? wanted.servers : 2;
}

uint64_t patience(void)
{
        return now_ns() + PATIENCE_NS / attempts();
}

uint16_t random_id(void)
{
        uint16_t id = 0;
        sys3(__NR_getrandom, &id, sizeof id, 0);
        return id;
}

/* --- what the container's networks know --- */

uint32_t answer_here(const uint8_t *asked, const struct dns_query *query, int code, uint32_t room, uint8_t *to)
{
        struct dns_answer answer = {0};
        uint8_t address[16];
        if (code != DNS_FINE)
                return dns_write(asked, query, code, 0, room, to);
        if (query->internet && query->name[0]) {
                uint32_t size = query->type == DNS_PTR ? dns_reversed(query->name, address) : 0;
                if (size > 0) {
                        answer.pointer = find_holder(&names, address, size);
                        if (answer.pointer)
                                return dns_write(asked, query, DNS_FINE, &answer, room, to);
                } else {
                        find_addresses(&names, query->name, query->type == DNS_AAAA ? DNS_AAAA : DNS_A, &found);
                        if (found.known) {
                                answer.count = query->type == DNS_A || query->type == DNS_AAAA ? found.count : 0;
                                answer.addresses = found.addresses;
                                answer.first = turns++;
                                return dns_write(asked, query, DNS_FINE, &answer, room, to);
                        }
                        int short_name = 1;
                        for (const char *c = query->name; *c; c++)
                                short_name &= *c != '.';
                        if (short_name && (wanted.flags & CT_KEEP_SHORT_NAMES) && (query->type == DNS_A || query->type == DNS_AAAA))
                                return dns_write(asked, query, DNS_FINE, 0, room, to);
                }
        }
        if (wanted.servers == 0 || !has_way_out(&names))
                return dns_write(asked, query, DNS_FAILED, 0, room, to);
        return 0;
}

/* --- servers --- */

static const struct address *server_of(uint32_t attempt)
{
        return &wanted.server[attempt % wanted.servers];
}

/* From a port that nobody knows: the kernel chooses it. */
long connect_server(uint32_t attempt, int type)
{
        const struct address *server = server_of(attempt);
        long fd = sys3(__NR_socket, server->family, type | O_CLOEXEC | O_NONBLOCK, 0);
        if (fd < 0)
                return fd;
        long r = sys3(__NR_connect, fd, server, address_size(server));
        if (r == 0 || r == -EINPROGRESS)
                return fd;
        close_fd((int)fd);
        return r;
}

int is_no_answer(const uint8_t *message)
{
        return dns_code(message) == DNS_FAILED || dns_code(message) == DNS_REFUSED;
}

/* --- udp --- */

static void reply(const struct address *client, const uint8_t *message, uint32_t length)
{
        sys6(__NR_sendto, udp, SYS_ARG(message), length, MSG_DONTWAIT_ | MSG_NOSIGNAL_, SYS_ARG(client), address_size(client));
}

static int *socket_of(const struct pending *at)
{
        return &asking[at - pending];
}

static void close_pending(struct pending *at)
{
        int *fd = socket_of(at);
        if (*fd >= 0)
                close_fd(*fd);
        *fd = -1;
}

/* Sends the query to the server whose turn it is, or the next that can be reached. */
static void send_on(struct pending *at)
{
        int *fd = socket_of(at);
        for (; at->attempt < attempts(); at->attempt++) {
                /* The only server is asked again from the same port: it may just be slow. */
                if (*fd < 0 || wanted.servers > 1) {
                        close_pending(at);
                        *fd = (int)connect_server(at->attempt, SOCK_DGRAM_);
                        at->id = random_id();
                }
                if (*fd < 0)
                        continue;
                dns_put(at->asked, at->id);
                long n = sys6(__NR_sendto, *fd, SYS_ARG(at->asked), at->length, MSG_DONTWAIT_ | MSG_NOSIGNAL_, 0, 0);
                if (n == at->length) {
                        at->due = patience();
                        return;
                }
                close_pending(at);
        }
        close_pending(at);
        dns_put(at->asked, at->query.id);
        reply(&at->client, answered, dns_write(at->asked, &at->query, at->refusal, 0, at->query.room, answered));
}

/* What is in `datagram`, asked once more. */
static int is_asked_again(const struct pending *at, const struct address *client, uint16_t id, uint32_t length)
{
        return at->query.id == id && at->length == length && __builtin_memcmp(&at->client, client, sizeof *client) == 0 &&
               __builtin_memcmp(at->asked + 2, datagram + 2, length - 2) == 0;
}

static void forward_datagram(const struct address *client, const struct dns_query *query, uint32_t length)
{
        struct pending *free = 0;
        for (int i = PENDING_MAX - 1; i >= 0; i--) {
                if (asking[i] < 0)
                        free = &pending[i];
                else if (is_asked_again(&pending[i], client, query->id, length))
                        return;        /* we are at it */
        }
        if (!free) {
                reply(client, answered, dns_write(datagram, query, DNS_FAILED, 0, query->room, answered));
                return;
        }
        free->attempt = 0;
        free->refusal = DNS_FAILED;
        free->client = *client;
        free->query = *query;
        free->length = (uint16_t)length;
        __builtin_memcpy(free->asked, datagram, length);
        send_on(free);
}

static void take_datagrams(void)
{
        for (int taken = 0; taken < DATAGRAMS_MOST; taken++) {
                struct address client = {0};
                struct dns_query query;
                uint32_t size = sizeof client;
                long n = sys6(__NR_recvfrom, udp, SYS_ARG(datagram), sizeof datagram, MSG_DONTWAIT_, SYS_ARG(&client), SYS_ARG(&size));
                if (n < 0)
                        return;
                int code = dns_read(datagram, (uint32_t)n, &query);
                if (code < 0)
                        continue;
                uint32_t length = answer_here(datagram, &query, code, query.room, answered);
                if (length > 0)
                        reply(&client, answered, length);
                else
                        forward_datagram(&client, &query, (uint32_t)n);
        }
}

static void next_server(struct pending *at)
{
        if (wanted.servers == 1 && at->attempt == 0)
                at->attempt = 1;       /* its one server said no: it would say so again */
        at->attempt++;
        send_on(at);
}

static void hear_datagram(struct pending *at)
{
        long n = sys6(__NR_recvfrom, *socket_of(at), SYS_ARG(datagram), sizeof datagram, MSG_DONTWAIT_, 0, 0);
        if (n == -EAGAIN || n == -EINTR)
                return;
        if (n < 0) {                   /* nobody listens there */
                next_server(at);
                return;
        }
        uint32_t length = (uint32_t)n;
        if (!dns_is_answer(at->asked, &at->query, at->id, datagram, length))
                return;
        if (is_no_answer(datagram)) {
                at->refusal = dns_code(datagram);
                next_server(at);
                return;
        }
        if (length > at->query.room)
                length = dns_cut(&at->query, datagram);
        dns_put(datagram, at->query.id);
        reply(&at->client, datagram, length);
        close_pending(at);
}

/* --- all of it --- */

enum { AT_CONTAINER, AT_UDP, AT_TCP, AT_PENDING, AT_STREAMS = AT_PENDING + PENDING_MAX, AT_END = AT_STREAMS + 2 * STREAMS_MAX };

static struct pollfd polled[AT_END];

static uint64_t list_descriptors(int container)
{
        uint64_t due = ~(uint64_t)0;
        polled[AT_CONTAINER] = (struct pollfd){container, POLLIN, 0};
        polled[AT_UDP] = (struct pollfd){udp, POLLIN, 0};
        polled[AT_TCP] = (struct pollfd){can_accept() ? tcp : -1, POLLIN, 0};
        for (int i = 0; i < PENDING_MAX; i++) {
                polled[AT_PENDING + i] = (struct pollfd){asking[i], POLLIN, 0};
                if (asking[i] >= 0 && pending[i].due < due)
                        due = pending[i].due;
        }
        return list_streams(polled + AT_STREAMS, due);
}

static long wait_until(uint64_t due)
{
        uint64_t now = now_ns(), left = due > now ? due - now : 0;
        struct ct_timespec timeout = {(int64_t)(left / 1000000000u), (int64_t)(left % 1000000000u)};
        return sys5(__NR_ppoll, polled, AT_END, due == ~(uint64_t)0 ? 0 : &timeout, 0, 8);
}

static void end_overdue(void)
{
        uint64_t now = now_ns();
        for (int i = 0; i < PENDING_MAX; i++)
                if (asking[i] >= 0 && pending[i].due <= now) {
                        pending[i].attempt++;
                        send_on(&pending[i]);
                }
        end_overdue_streams(now);
}

int serve(int container)
{
        long n = wait_until(list_descriptors(container));
        if (n == -EINTR)
                return 1;
        if (n < 0 || polled[AT_CONTAINER].revents)
                return 0;
        for (int i = 0; i < PENDING_MAX; i++)
                if (polled[AT_PENDING + i].revents)
                        hear_datagram(&pending[i]);
        serve_streams(polled + AT_STREAMS);
        if (polled[AT_TCP].revents)
                accept_stream(tcp);
        if (polled[AT_UDP].revents)
                take_datagrams();
        end_overdue();
        return 1;
}

void begin_serving(int datagrams, int connections)
{
        udp = datagrams;
        tcp = connections;
        for (int i = 0; i < PENDING_MAX; i++)
                asking[i] = -1;
}
