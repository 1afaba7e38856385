/* monitor-clients.c: whoever has connected to a monitor: their requests, and what they are told. A client that does not read costs
 * itself its output, and nobody else anything. */
#include "monitor.h"

#define AF_UNIX_ 1
#define SOL_SOCKET_ 1
#define SO_PEERCRED_ 17
#define SOCK_NONBLOCK_CLOEXEC (O_NONBLOCK | O_CLOEXEC)
#define ROOM (256 * 1024)              /* of unread output, for a client that loses what is more */
#define RING_SIZE (4 * 1024 * 1024)    /* of one that holds the container back; what a pipe still has at its end goes beside it */
#define LIFE_ROOM 4096                 /* kept free for what is not output */
#define CLIENT_MEMORY (RING_SIZE + CT_CONTROL_MAX)

struct peer {
        int32_t pid;
        uint32_t uid, gid;
};

static char *requests_of(const struct client *client)
{
        return client->memory + RING_SIZE;
}

/* What a foreground client had open to the container's stdin ends with it. */
void hang_up(struct monitor *m, struct client *client)
{
        int ends_input = (client->attached & CT_ATTACH_ONLY_INPUT) && m->input >= 0 && !m->terminal;
        close_fd(client->fd);
        sys2(__NR_munmap, client->memory, CLIENT_MEMORY);
        client->fd = -1;
        client->memory = 0;
        client->attached = 0;
        if (ends_input) {
                close_fd(m->input);
                m->input = -1;
        }
        if (m->stage == BORN)          /* nobody else can say START */
                quit(0);
}

static uint32_t room_for_output(const struct client *client)
{
        uint32_t most = (client->attached & CT_ATTACH_HOLD) ? RING_SIZE - LIFE_ROOM : ROOM;
        return client->used < most ? most - client->used : 0;
}

static void put(struct client *client, const void *bytes, uint32_t length)
{
        uint32_t at = (client->head + client->used) % RING_SIZE, until = RING_SIZE - at;
        uint32_t first = length < until ? length : until;
        memmove(client->memory + at, bytes, first);
        memmove(client->memory, (const char *)bytes + first, length - first);
        client->used += length;
}

void flush_client(struct monitor *m, struct client *client)
{
        while (client->used > 0) {
                uint32_t until = RING_SIZE - client->head, length = client->used < until ? client->used : until;
                long n = sys6(__NR_sendto, client->fd, SYS_ARG(client->memory + client->head), length,
                              MSG_DONTWAIT_ | MSG_NOSIGNAL_, 0, 0);
                if (n == -EINTR)
                        continue;
                if (n == -EAGAIN)
                        return;
                if (n <= 0) {
                        hang_up(m, client);
                        return;
                }
                client->head = (client->head + (uint32_t)n) % RING_SIZE;
                client->used -= (uint32_t)n;
        }
        client->head = 0;
}

static void tell(struct monitor *m, struct client *client, int type, int flags, const void *body, uint32_t length)
{
        struct ct_record head = {(uint32_t)sizeof head + length, (uint16_t)type, (uint16_t)flags};
        if (client->used + head.length > RING_SIZE) {
                hang_up(m, client); /* it has not read for megabytes of what is not even output */
                return;
        }
        put(client, &head, sizeof head);
        put(client, body, length);
        flush_client(m, client);
}

void say(struct monitor *m, int type, const void *body, uint32_t length)
{
        for (int i = 0; i < CLIENTS_MAX; i++)
                if (m->clients[i].fd >= 0)
                        tell(m, &m->clients[i], type, 0, body, length);
}

/* What went by is said as soon as there is room to say it: the gap is where it was. */
static void tell_dropped(struct monitor *m, struct client *client, int stream)
{
        struct ct_said_dropped dropped = {client->dropped[stream]};
        client->dropped[stream] = 0;
        tell(m, client, CT_SAID_DROPPED, stream + 1, &dropped, sizeof dropped);
}

void say_output(struct monitor *m, int stream, const char *bytes, uint32_t length)
{
        uint32_t needed = length + 2 * (uint32_t)sizeof(struct ct_record) + (uint32_t)sizeof(struct ct_said_dropped);
        for (int i = 0; i < CLIENTS_MAX; i++) {
                struct client *client = &m->clients[i];
                if (client->fd < 0 || !(client->attached & (stream == 0 ? CT_ATTACH_STDOUT : CT_ATTACH_STDERR)))
                        continue;
                if (room_for_output(client) < needed) {
                        client->dropped[stream] += length;
                        continue;
                }
                if (client->dropped[stream] > 0)
                        tell_dropped(m, client, stream);
                if (client->fd >= 0)
                        tell(m, client, CT_SAID_OUTPUT, stream + 1, bytes, length);
        }
}

/* Whether somebody in the foreground has not read what there is: then nothing more is taken from the container. */
int is_held(const struct monitor *m)
{
        for (int i = 0; i < CLIENTS_MAX; i++)
                if (m->clients[i].fd >= 0 && (m->clients[i].attached & CT_ATTACH_HOLD) && m->clients[i].used > ROOM)
                        return 1;
        return 0;
}

int clients_unread(const struct monitor *m)
{
        int unread = 0;
        for (int i = 0; i < CLIENTS_MAX; i++)
                unread += m->clients[i].fd >= 0 && m->clients[i].used > 0;
        return unread;
}

/* What was dropped last is said although nothing follows it. */
void tell_losses(struct monitor *m)
{
        for (int i = 0; i < CLIENTS_MAX; i++)
                for (int stream = 0; stream < 2; stream++)
                        if (m->clients[i].fd >= 0 && m->clients[i].dropped[stream] > 0)
                                tell_dropped(m, &m->clients[i], stream);
}

void add_client(struct monitor *m, int fd)
{
        struct ct_said_hello hello = {CT_CONTROL_VERSION, (int32_t)sys0(__NR_getpid), CT_ABI, CT_OPCODES};
        int i = 0;
        while (i < CLIENTS_MAX && m->clients[i].fd >= 0)
                i++;
        long memory = i < CLIENTS_MAX ? sys6(__NR_mmap, 0, CLIENT_MEMORY, 3, 0x4022 /* PRIVATE | ANONYMOUS | NORESERVE */, -1, 0) : -1;
        if (memory < 0 && memory > -4096) {
                close_fd(fd);
                return;
        }
        m->clients[i] = (struct client){.fd = fd, .memory = (char *)memory};
        tell(m, &m->clients[i], CT_SAID_HELLO, 0, &hello, sizeof hello);
}

/* The directory keeps others out; this says so once more. */
void accept_client(struct monitor *m)
{
        struct peer peer = {0};
        uint32_t size = sizeof peer;
        long fd = sys4(__NR_accept4, m->listener, 0, 0, SOCK_NONBLOCK_CLOEXEC);
        if (fd < 0)
                return;
        long r = sys5(__NR_getsockopt, fd, SOL_SOCKET_, SO_PEERCRED_, &peer, &size);
        if (r < 0 || (peer.uid != 0 && peer.uid != (uint32_t)sys0(__NR_geteuid)))
                close_fd((int)fd);
        else
                add_client(m, (int)fd);
}

/* False while stdin takes nothing: the client is read on when it does. */
static int take_input(struct monitor *m, struct client *client, const char *bytes, uint32_t length)
{
        while (client->used_input < length && m->input >= 0) {
                long n = sys3(__NR_write, m->input, bytes + client->used_input, length - client->used_input);
                if (n == -EINTR)
                        continue;
                if (n == -EAGAIN) {
                        m->input_waits = 1;
                        return 0;
                }
                if (n < 0) {           /* nobody reads it any more */
                        if (!m->terminal) {
                                close_fd(m->input);
                                m->input = -1;
                        }
                        break;
                }
                client->used_input += (uint32_t)n;
        }
        client->used_input = 0;
        return 1;
}

/* False when it has to wait. */
static int take_request(struct monitor *m, struct client *client, const struct ct_record *head, const char *body)
{
        struct ct_said_done done = {0};
        uint32_t length = head->length - (uint32_t)sizeof *head;
        switch (head->type) {
        case CT_ASK_START:
                if (m->stage == BORN && client == &m->clients[0])
                        ask_to_start(m);
                return 1;
        case CT_ASK_GIVE_UP:
                ask_to_give_up(m);
                return 1;
        case CT_ASK_PAUSED:
                cancel_probe();
                return 1;
        case CT_ASK_INPUT:
                return take_input(m, client, body, length);
        case CT_ASK_END_INPUT:
                if (m->input >= 0 && !m->terminal) {
                        close_fd(m->input);
                        m->input = -1;
                }
                return 1;
        case CT_ASK_ATTACH:
                client->attached = head->flags;
                break;
        case CT_ASK_SIGNAL:
                if (length < sizeof(struct ct_ask_signal))
                        done.error = EINVAL;
                else
                        done.error = ask_to_signal(m, (const struct ct_ask_signal *)body, head->flags & CT_SIGNAL_FINAL);
                break;
        case CT_ASK_RESIZE:
                done.error = length < sizeof(struct ct_ask_resize) ? EINVAL : ask_to_resize(m, (const struct ct_ask_resize *)body);
                break;
        case CT_ASK_RELOAD:
                done.error = ask_to_reload(m);
                break;
        default:
                return 1;              /* of a later release; it knows from HELLO that we do not */
        }
        tell(m, client, CT_SAID_DONE, 0, &done, sizeof done);
        return 1;
}

static void take_requests(struct monitor *m, struct client *client)
{
        char *requests = requests_of(client);
        while (client->fd >= 0 && client->have >= sizeof(struct ct_record)) {
                const struct ct_record *head = (const struct ct_record *)requests;
                uint32_t length = head->length;
                if (length < sizeof *head || length > CT_CONTROL_MAX) {
                        hang_up(m, client);
                        return;
                }
                if (client->have < length || !take_request(m, client, head, requests + sizeof *head) || client->fd < 0)
                        return;
                client->have -= length;
                memmove(requests, requests + length, client->have);
        }
}

void serve_client(struct monitor *m, struct client *client)
{
        long n = sys6(__NR_recvfrom, client->fd, SYS_ARG(requests_of(client) + client->have), CT_CONTROL_MAX - client->have,
                      MSG_DONTWAIT_, 0, 0);
        if (n == -EAGAIN || n == -EINTR)
                return;
        if (n <= 0) {
                hang_up(m, client);
                return;
        }
        client->have += (uint32_t)n;
        take_requests(m, client);
}

/* Stdin takes something again: the clients that waited go on, in their order. */
void retry_input(struct monitor *m)
{
        m->input_waits = 0;
        for (int i = 0; i < CLIENTS_MAX && !m->input_waits; i++)
                if (m->clients[i].fd >= 0)
                        take_requests(m, &m->clients[i]);
}
