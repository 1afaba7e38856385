/* forward.c: published ports. The sockets that reserve a container's ports on the host, and the process that holds them as long
 * as it runs. What the kernel's own translation leads to the container never gets here; the rest, such as connections to ::1,
 * this process hands on byte by byte. It has no privileges, and knows nothing but these sockets and where they lead. */
#include "beside.h"
#include <linux/poll.h>

#define SOL_SOCKET_ 1
#define SO_REUSEADDR_ 2
#define IPPROTO_IPV6_ 41
#define IPV6_V6ONLY_ 26
#define SHUT_WR_ 1
#define SPLICE_FLAGS 3                 /* SPLICE_F_MOVE | SPLICE_F_NONBLOCK */
#define BACKLOG 1024
#define AF_UNIX_ 1
#define SOCK_SEQPACKET_CLOEXEC (5 | O_CLOEXEC)

#define LISTENERS_MAX 256
#define CONNECTIONS_MAX 256
#define SESSIONS_MAX 256               /* of udp, which has no end: the one that was silent longest gives way */
#define PIECE 65536

/* s1 of FORWARD: one after the other. */
struct ct_forward {
        int32_t slot;
        uint16_t type;                 /* SOCK_STREAM, SOCK_DGRAM; 0 = the socket is only held */
        uint16_t port;                 /* inside, in network byte order */
        uint32_t address;              /* IPv4, in network byte order */
};

struct listener {
        int fd;
        struct ct_forward to;
};

struct connection {
        int fd[2];                     /* the client, the container; -1 = free */
        int pipes[2][2];               /* from fd[i] to the other */
        uint32_t held[2];              /* bytes in that pipe */
        uint8_t ended[2], connecting;
};

struct session {
        int fd;                        /* connected to the container; -1 = free */
        struct listener *listener;
        struct address client;
        uint64_t used_ns;
};

static struct listener listeners[LISTENERS_MAX];
static struct connection connections[CONNECTIONS_MAX];
static struct session sessions[SESSIONS_MAX];
static char datagram[PIECE];
static int listening, open_connections;

int bind_port(struct run *run, const struct ct_step *step)
{
        const char *address = step_s1(run, step);
        int one = 1;
        uint16_t family;
        if (step->n1 < 16 || step->n1 > sizeof(struct address))
                return -EINVAL;
        __builtin_memcpy(&family, address, sizeof family);
        long fd = sys3(__NR_socket, family, step->x | O_CLOEXEC | O_NONBLOCK, step->y);
        if (fd < 0)
                return (int)fd;
        long r = 0;
        if (step->x != SOCK_DGRAM_)    /* two sockets of udp could share the port */
                r = sys5(__NR_setsockopt, fd, SOL_SOCKET_, SO_REUSEADDR_, &one, sizeof one);
        if (r == 0 && family == AF_INET6_)
                r = sys5(__NR_setsockopt, fd, IPPROTO_IPV6_, IPV6_V6ONLY_, &one, sizeof one);
        if (r == 0)
                r = sys3(__NR_bind, fd, address, step->n1);
        if (r == 0 && step->x != SOCK_DGRAM_)
                r = sys2(__NR_listen, fd, BACKLOG);
        if (r < 0) {
                close_fd((int)fd);
                return (int)r;
        }
        return slot_set(run, step->out, (int)fd);
}

/* --- connections --- */

static void close_connection(struct connection *connection)
{
        for (int i = 0; i < 2; i++) {
                close_fd(connection->fd[i]);
                close_fd(connection->pipes[i][0]);
                close_fd(connection->pipes[i][1]);
        }
        connection->fd[0] = connection->fd[1] = -1;
        open_connections--;
}

static long connect_inside(const struct ct_forward *to)
{
        struct address address = {.family = AF_INET_, .port = to->port, .ipv4 = to->address};
        long fd = sys3(__NR_socket, AF_INET_, to->type | O_CLOEXEC | O_NONBLOCK, 0);
        if (fd < 0)
                return fd;
        long r = sys3(__NR_connect, fd, &address, 16);
        if (r == 0 || r == -EINPROGRESS)
                return fd;
        close_fd((int)fd);
        return r;
}

static void accept_connection(const struct listener *listener)
{
        struct connection *connection = connections;
        long client = sys4(__NR_accept4, listener->fd, 0, 0, O_CLOEXEC | O_NONBLOCK);
        if (client < 0)
                return;
        while (connection->fd[0] >= 0)         /* there is one: nobody accepts otherwise */
                connection++;
        long inside = connect_inside(&listener->to);
        int pipes[2][2] = {{-1, -1}, {-1, -1}};
        long r = inside < 0 ? inside : sys2(__NR_pipe2, pipes[0], O_CLOEXEC | O_NONBLOCK);
        if (r >= 0)
                r = sys2(__NR_pipe2, pipes[1], O_CLOEXEC | O_NONBLOCK);
        if (r < 0) {
                const int opened[] = {(int)client, (int)inside, pipes[0][0], pipes[0][1]};
                for (int i = 0; i < 4; i++)
                        if (opened[i] >= 0)
                                close_fd(opened[i]);
                return;
        }
        *connection = (struct connection){.fd = {(int)client, (int)inside},
                                          .pipes = {{pipes[0][0], pipes[0][1]}, {pipes[1][0], pipes[1][1]}},
                                          .connecting = 1};
        open_connections++;
}

/* What is in the pipe goes on; its end once the other side has ended. False when the connection is broken. */
static int drain(struct connection *connection, int from)
{
        int to = connection->fd[1 - from];
        while (connection->held[from] > 0) {
                long n = sys6(__NR_splice, connection->pipes[from][0], 0, to, 0, connection->held[from], SPLICE_FLAGS);
                if (n == -EAGAIN || n == -EINTR)
                        return 1;
                if (n <= 0)
                        return 0;
                connection->held[from] -= (uint32_t)n;
        }
        if (connection->ended[from])
                sys2(__NR_shutdown, to, SHUT_WR_);
        return 1;
}

static int pump(struct connection *connection, int from)
{
        long n = sys6(__NR_splice, connection->fd[from], 0, connection->pipes[from][1], 0, PIECE, SPLICE_FLAGS);
        if (n == -EAGAIN || n == -EINTR)
                return 1;
        if (n < 0)
                return 0;
        if (n == 0)
                connection->ended[from] = 1;
        connection->held[from] += (uint32_t)n;
        return drain(connection, from);
}

static void serve_connection(struct connection *connection, const int *events)
{
        int alive = 1;
        if (connection->connecting) {
                if (!(events[1] & (POLLOUT | POLLERR | POLLHUP)))
                        return;
                connection->connecting = 0;
                if (events[1] & POLLERR) {
                        close_connection(connection);
                        return;
                }
        }
        for (int i = 0; alive && i < 2; i++) {
                if (events[i] & POLLOUT)
                        alive = drain(connection, 1 - i);
                if (alive && (events[i] & (POLLIN | POLLHUP | POLLERR)) && !connection->ended[i] && connection->held[i] == 0)
                        alive = pump(connection, i);
        }
        if (!alive || (connection->ended[0] && connection->ended[1] && connection->held[0] + connection->held[1] == 0))
                close_connection(connection);
}

/* --- datagrams --- */

static int same_address(const struct address *a, const struct address *b)
{
        return __builtin_memcmp(a, b, sizeof *a) == 0;
}

static struct session *session_of(struct listener *listener, const struct address *client)
{
        struct session *oldest = sessions;
        for (int i = 0; i < SESSIONS_MAX; i++) {
                struct session *session = &sessions[i];
                if (session->fd >= 0 && session->listener == listener && same_address(&session->client, client))
                        return session;
                if (session->fd < 0 ? oldest->fd >= 0 : oldest->fd >= 0 && session->used_ns < oldest->used_ns)
                        oldest = session;
        }
        if (oldest->fd >= 0)
                close_fd(oldest->fd);
        oldest->fd = (int)connect_inside(&listener->to);
        oldest->listener = listener;
        oldest->client = *client;
        return oldest->fd < 0 ? 0 : oldest;
}

static void take_datagram(struct listener *listener)
{
        struct address client = {0};
        uint32_t length = sizeof client;
        long n = sys6(__NR_recvfrom, listener->fd, SYS_ARG(datagram), sizeof datagram, MSG_DONTWAIT_, SYS_ARG(&client), SYS_ARG(&length));
        if (n < 0)
                return;
        struct session *session = session_of(listener, &client);
        if (!session)
                return;
        session->used_ns = now_ns();
        sys6(__NR_sendto, session->fd, SYS_ARG(datagram), n, MSG_DONTWAIT_ | MSG_NOSIGNAL_, 0, 0);
}

static void answer_datagram(struct session *session)
{
        long n = sys6(__NR_recvfrom, session->fd, SYS_ARG(datagram), sizeof datagram, MSG_DONTWAIT_, 0, 0);
        if (n == -EAGAIN || n == -EINTR)
                return;
        if (n < 0) {                   /* nobody listens inside */
                close_fd(session->fd);
                session->fd = -1;
                return;
        }
        session->used_ns = now_ns();
        sys6(__NR_sendto, session->listener->fd, SYS_ARG(datagram), n, MSG_DONTWAIT_ | MSG_NOSIGNAL_, SYS_ARG(&session->client),
             address_size(&session->client));
}

/* --- the process --- */

enum { AT_CONTAINER, AT_LISTENERS, AT_CONNECTIONS = AT_LISTENERS + LISTENERS_MAX,
       AT_SESSIONS = AT_CONNECTIONS + 2 * CONNECTIONS_MAX, AT_END = AT_SESSIONS + SESSIONS_MAX };

static struct pollfd polled[AT_END];

static void list_descriptors(int container)
{
        for (int i = 0; i < AT_END; i++)
                polled[i] = (struct pollfd){-1, POLLIN, 0};
        polled[AT_CONTAINER].fd = container;
        for (int i = 0; i < listening; i++)
                if (listeners[i].to.type == SOCK_DGRAM_ || (listeners[i].to.type == SOCK_STREAM_ && open_connections < CONNECTIONS_MAX))
                        polled[AT_LISTENERS + i].fd = listeners[i].fd;
        for (int i = 0; i < CONNECTIONS_MAX; i++) {
                const struct connection *connection = &connections[i];
                for (int k = 0; connection->fd[0] >= 0 && k < 2; k++) {
                        struct pollfd *poll = &polled[AT_CONNECTIONS + 2 * i + k];
                        poll->events = (short)((!connection->connecting && !connection->ended[k] && connection->held[k] == 0 ? POLLIN : 0) |
                                               (connection->held[1 - k] > 0 || (connection->connecting && k == 1) ? POLLOUT : 0));
                        if (poll->events != 0)
                                poll->fd = connection->fd[k];
                }
        }
        for (int i = 0; i < SESSIONS_MAX; i++)
                polled[AT_SESSIONS + i].fd = sessions[i].fd;
}

static _Noreturn void forward_ports(int container)
{
        for (;;) {
                list_descriptors(container);
                long n = sys5(__NR_ppoll, polled, AT_END, 0, 0, 8);
                if (n == -EINTR)
                        continue;
                if (n < 0 || polled[AT_CONTAINER].revents)
                        quit(0);
                for (int i = 0; i < CONNECTIONS_MAX; i++) {
                        const struct pollfd *at = &polled[AT_CONNECTIONS + 2 * i];
                        const int events[2] = {at[0].revents, at[1].revents};
                        if (connections[i].fd[0] >= 0 && (events[0] | events[1]))
                                serve_connection(&connections[i], events);
                }
                for (int i = 0; i < SESSIONS_MAX; i++)
                        if (polled[AT_SESSIONS + i].revents && sessions[i].fd >= 0)
                                answer_datagram(&sessions[i]);
                for (int i = 0; i < listening; i++) {
                        if (!polled[AT_LISTENERS + i].revents)
                                continue;
                        if (listeners[i].to.type == SOCK_DGRAM_)
                                take_datagram(&listeners[i]);
                        else if (open_connections < CONNECTIONS_MAX)
                                accept_connection(&listeners[i]);
                }
        }
}

static void clear_tables(void)
{
        for (int i = 0; i < LISTENERS_MAX; i++)
                listeners[i].fd = -1;
        for (int i = 0; i < CONNECTIONS_MAX; i++)
                connections[i].fd[0] = connections[i].fd[1] = -1;
        for (int i = 0; i < SESSIONS_MAX; i++)
                sessions[i].fd = -1;
        list_descriptors(-1);
}

/* Everything that a forwarder knows. */
static _Noreturn void serve_ports(const struct ct_forward *wanted, const int *sockets, int count, int container)
{
        listening = count;
        for (int i = 0; i < count; i++)
                listeners[i] = (struct listener){sockets[i], wanted[i]};
        forward_ports(container);
}

/* --- one ahead of need: a fork takes longer than everything else that a port costs --- */

static int spare = -1;                 /* socket to it; -1 = there is none */
static int spares_wanted;

int wants_forwarder(void)
{
        return spares_wanted == 1 && spare < 0;
}

void prepare_forwarder(struct progress *progress)
{
        int ends[2];
        if (sys4(__NR_socketpair, AF_UNIX_, SOCK_SEQPACKET_CLOEXEC, 0, ends) < 0)
                return;
        long pid = fork_beside(&progress->spare, "coracle-spare", &ends[1], 1, -1);
        if (pid == 0) {
                static struct ct_forward wanted[CT_PASSED_MAX];
                int fds[CT_PASSED_MAX], count;
                clear_tables();        /* their memory is there when ports come */
                long n = receive_message(ends[1], wanted, sizeof wanted, fds, &count, 0);
                if (count < 1 || n != (count - 1) * (long)sizeof *wanted)
                        quit(0);       /* the spawner has ended */
                close_fd(ends[1]);
                name_process("coracle-port");
                serve_ports(wanted, fds, count - 1, fds[count - 1]);
        }
        close_fd(ends[1]);
        if (pid < 0)
                close_fd(ends[0]);
        else
                spare = ends[0];
}

/* False when there is none that could take them. */
static int hand_over(struct progress *progress, const struct ct_forward *wanted, const int *needed, int count)
{
        if (spare < 0 || count >= CT_PASSED_MAX)
                return 0;
        progress->beside[CT_FORWARDER] = progress->spare;
        long n = send_message(spare, wanted, (size_t)count * sizeof *wanted, needed, count + 1, MSG_NOSIGNAL_);
        close_fd(spare);
        spare = -1;
        if (n >= 0) {
                progress->spare = 0;
                return 1;
        }
        progress->beside[CT_FORWARDER] = 0;
        spares_wanted = -1;            /* somebody has killed it; it stays noted, and is reaped after this spawner's end */
        return 0;
}

int start_forwarder(struct run *run, const struct ct_step *step)
{
        static struct ct_forward wanted[LISTENERS_MAX];
        uint32_t count = step->n1 / sizeof *wanted;
        int needed[LISTENERS_MAX + 1];
        if (count == 0 || count > LISTENERS_MAX || run->pidfd < 0)
                return -EINVAL;
        __builtin_memcpy(wanted, step_s1(run, step), count * sizeof *wanted);
        for (uint32_t i = 0; i < count; i++) {
                needed[i] = slot_fd(run, wanted[i].slot);
                if (needed[i] < 0)
                        return needed[i];
        }
        needed[count] = run->pidfd;
        if (hand_over(run->progress, wanted, needed, (int)count))
                return 0;
        long pid = fork_beside(&run->progress->beside[CT_FORWARDER], "coracle-port", needed, (int)count + 1, -1);
        if (pid == 0) {
                clear_tables();
                serve_ports(wanted, needed, (int)count, run->pidfd);
        }
        if (spares_wanted == 0)
                spares_wanted = 1;
        return pid < 0 ? (int)pid : 0;
}
