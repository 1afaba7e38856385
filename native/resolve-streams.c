/* resolve-streams.c: queries over tcp, RFC 7766: one after the other on each connection. What is sent on goes over tcp as well; an
 * answer is passed on in pieces once its head has been looked at, so that none takes more memory than a piece. */
#include "resolve.h"
#include <linux/poll.h>

#define IDLE_NS 10000000000u           /* a connection that says nothing, or takes nothing, for so long is closed */
#define PREFIX 2                       /* bytes that tell the length */

enum stage { ASKING, CONNECTING, TELLING, HEARING, PASSING, ANSWERING };

struct stream {
        int client, server;            /* -1 = none */
        enum stage stage;
        uint32_t attempt;
        int refusal;                   /* of the last server that answered */
        uint64_t due;
        uint16_t id;
        uint32_t got, sent;            /* of what is read, of what is written */
        uint32_t size, left;           /* bytes in `piece`; of the answer, those that the server has not sent yet */
        struct dns_query query;
        uint8_t asked[PREFIX + DNS_QUERY_MAX];
        uint8_t piece[PREFIX + DNS_ANSWER_MAX];
};

static struct stream streams[STREAMS_MAX];
static uint8_t taken[STREAMS_MAX];     /* apart: the rest is not touched before */
static int open_streams;

static void close_server(struct stream *at)
{
        if (at->server >= 0)
                close_fd(at->server);
        at->server = -1;
}

static void close_stream(struct stream *at)
{
        close_server(at);
        close_fd(at->client);
        taken[at - streams] = 0;
        open_streams--;
}

static void listen_again(struct stream *at)
{
        close_server(at);
        at->stage = ASKING;
        at->got = at->sent = 0;
        at->due = now_ns() + IDLE_NS;
}

static uint8_t *query_of(struct stream *at)
{
        return at->asked + PREFIX;
}

static void begin_answer(struct stream *at, uint32_t length)
{
        dns_put(at->piece, length);
        at->size = PREFIX + length;
        at->sent = 0;
        at->stage = ANSWERING;
        at->due = now_ns() + IDLE_NS;
}

static void try_server(struct stream *at)
{
        close_server(at);
        for (; at->attempt < attempts(); at->attempt++) {
                at->server = (int)connect_server(at->attempt, SOCK_STREAM_);
                if (at->server < 0)
                        continue;
                at->id = random_id();
                dns_put(query_of(at), at->id);
                at->sent = at->got = 0;
                at->stage = CONNECTING;
                at->due = patience();
                return;
        }
        at->server = -1;
        dns_put(query_of(at), at->query.id);
        begin_answer(at, dns_write(query_of(at), &at->query, at->refusal, 0, DNS_ANSWER_MAX, at->piece + PREFIX));
}

static void give_up_server(struct stream *at)
{
        at->attempt++;
        try_server(at);
}

static void take_query(struct stream *at)
{
        int code = dns_read(query_of(at), at->got - PREFIX, &at->query);
        if (code < 0) {
                close_stream(at);
                return;
        }
        uint32_t length = answer_here(query_of(at), &at->query, code, DNS_ANSWER_MAX, at->piece + PREFIX);
        at->attempt = 0;
        at->refusal = DNS_FAILED;
        if (length > 0)
                begin_answer(at, length);
        else
                try_server(at);
}

/* Reads up to `whole` bytes; 1 when they are there, 0 when more are to come, -1 when none will. */
static int read_up_to(int fd, uint8_t *to, uint32_t *got, uint32_t whole)
{
        if (*got < whole) {
                long n = sys6(__NR_recvfrom, fd, SYS_ARG(to + *got), whole - *got, MSG_DONTWAIT_, 0, 0);
                if (n == -EAGAIN || n == -EINTR)
                        return 0;
                if (n <= 0)
                        return -1;
                *got += (uint32_t)n;
        }
        return *got == whole;
}

/* As read_up_to. */
static int write_up_to(int fd, const uint8_t *from, uint32_t *sent, uint32_t whole)
{
        long n = sys6(__NR_sendto, fd, SYS_ARG(from + *sent), whole - *sent, MSG_DONTWAIT_ | MSG_NOSIGNAL_, 0, 0);
        if (n == -EAGAIN || n == -EINTR)
                return 0;
        if (n < 0)
                return -1;
        *sent += (uint32_t)n;
        return *sent == whole;
}

static void hear_query(struct stream *at)
{
        int r = read_up_to(at->client, at->asked, &at->got, at->got < PREFIX ? PREFIX : PREFIX + dns_number(at->asked));
        uint32_t length = at->got < PREFIX ? 0 : dns_number(at->asked);
        if (r < 0 || (at->got >= PREFIX && (length < DNS_HEAD || length > DNS_QUERY_MAX)))
                close_stream(at);
        else if (at->got == PREFIX + length && at->got > PREFIX)
                take_query(at);
}

/* Its length, head and question are looked at before any of it goes on. */
static void hear_answer(struct stream *at)
{
        uint32_t length = at->got < PREFIX ? 0 : dns_number(at->piece);
        uint32_t head = length < at->query.end ? length : at->query.end;
        int r = read_up_to(at->server, at->piece, &at->got, at->got < PREFIX ? PREFIX : PREFIX + head);
        if (r < 0 || (at->got >= PREFIX && dns_number(at->piece) < DNS_HEAD)) {
                give_up_server(at);
                return;
        }
        if (r == 0 || at->got == PREFIX)
                return;
        uint8_t *message = at->piece + PREFIX;
        int is_answer = dns_is_answer(query_of(at), &at->query, at->id, message, head);
        if (!is_answer || is_no_answer(message)) {
                if (is_answer)
                        at->refusal = dns_code(message);
                give_up_server(at);
                return;
        }
        dns_put(message, at->query.id);
        at->size = at->got;
        at->left = length - head;
        at->sent = 0;
        at->stage = PASSING;
        at->due = now_ns() + IDLE_NS;
}

static void pass_on(struct stream *at)
{
        int r = write_up_to(at->client, at->piece, &at->sent, at->size);
        if (r < 0) {
                close_stream(at);
        } else if (r > 0 && at->left == 0) {
                listen_again(at);
        } else if (r > 0) {
                at->size = at->sent = at->got = 0;
        }
}

static void hear_rest(struct stream *at)
{
        uint32_t most = at->left < sizeof at->piece ? at->left : (uint32_t)sizeof at->piece;
        int r = read_up_to(at->server, at->piece, &at->got, most);
        if (r < 0) {
                close_stream(at);      /* half of an answer: its asker has to see that */
                return;
        }
        if (at->got > 0) {
                at->left -= at->got;
                at->size = at->got;
                at->sent = 0;
        }
}

static void write_answer(struct stream *at)
{
        int r = write_up_to(at->client, at->piece, &at->sent, at->size);
        if (r < 0)
                close_stream(at);
        else if (r > 0)
                listen_again(at);
}

static void tell_server(struct stream *at)
{
        at->stage = TELLING;
        int r = write_up_to(at->server, at->asked, &at->sent, PREFIX + dns_number(at->asked));
        if (r < 0) {
                give_up_server(at);
        } else if (r > 0) {
                at->stage = HEARING;
                at->got = 0;
        }
}

static void serve_stream(struct stream *at)
{
        switch (at->stage) {
        case ASKING:
                hear_query(at);
                break;
        case CONNECTING: case TELLING:
                tell_server(at);
                break;
        case HEARING:
                hear_answer(at);
                break;
        case PASSING:
                if (at->size > 0)
                        pass_on(at);
                else
                        hear_rest(at);
                break;
        case ANSWERING:
                write_answer(at);
        }
}

int can_accept(void)
{
        return open_streams < STREAMS_MAX;
}

void accept_stream(int listener)
{
        long client = sys4(__NR_accept4, listener, 0, 0, O_CLOEXEC | O_NONBLOCK);
        if (client < 0)
                return;
        int free = 0;
        while (taken[free])            /* there is one: can_accept */
                free++;
        struct stream *at = &streams[free];
        taken[free] = 1;
        at->client = (int)client;
        at->server = -1;
        open_streams++;
        listen_again(at);
}

/* A client is looked at even while its server is asked: who has gone needs no answer. */
static void list_stream(const struct stream *at, struct pollfd *client, struct pollfd *server)
{
        int to_client = at->stage == ANSWERING || (at->stage == PASSING && at->size > 0);
        *client = (struct pollfd){at->client, to_client ? POLLOUT : at->stage == ASKING ? POLLIN : 0, 0};
        *server = (struct pollfd){at->server >= 0 && !to_client ? at->server : -1, at->stage <= TELLING ? POLLOUT : POLLIN, 0};
}

uint64_t list_streams(struct pollfd *polls, uint64_t due)
{
        for (int i = 0; i < STREAMS_MAX; i++) {
                polls[2 * i] = polls[2 * i + 1] = (struct pollfd){-1, 0, 0};
                if (!taken[i])
                        continue;
                list_stream(&streams[i], &polls[2 * i], &polls[2 * i + 1]);
                if (streams[i].due < due)
                        due = streams[i].due;
        }
        return due;
}

void serve_streams(const struct pollfd *polls)
{
        for (int i = 0; i < STREAMS_MAX; i++) {
                const struct pollfd *at = &polls[2 * i];
                if (at[0].revents & (POLLHUP | POLLERR))
                        close_stream(&streams[i]);
                else if (at[0].revents | at[1].revents)
                        serve_stream(&streams[i]);
        }
}

void end_overdue_streams(uint64_t now)
{
        for (int i = 0; i < STREAMS_MAX; i++) {
                struct stream *at = &streams[i];
                if (!taken[i] || at->due > now)
                        continue;
                if (at->stage >= CONNECTING && at->stage <= HEARING)
                        give_up_server(at);
                else
                        close_stream(at);
        }
}
