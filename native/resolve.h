/* resolve.h: the parts of the resolver: queries over udp and the loop (resolve.c), those over tcp (resolve-streams.c), the process
 * that does nothing else (resolver.c). */
#ifndef CT_RESOLVE_H
#define CT_RESOLVE_H
#include "beside.h"
#include "names.h"

#define SERVERS_MAX 3                  /* as resolv.conf(5) */
#define PENDING_MAX 256                /* queries over udp that were sent on and are not answered yet */
#define STREAMS_MAX 32                 /* connections from inside */
#define DESCRIPTORS_MAX (PENDING_MAX + 2 * STREAMS_MAX + 16)

/* s1 of RESOLVE. */
struct ct_resolver {
        uint32_t flags;
        uint32_t servers;
        struct address server[SERVERS_MAX];
};
enum { CT_KEEP_SHORT_NAMES = 1 /* names without a dot that nobody has are not sent on: the container's ndots say so */ };

extern struct ct_resolver wanted;
extern struct names names;

/* resolve.c */
void begin_serving(int datagrams, int connections);
/* Waits for what comes and serves it; false once the container has ended. */
int serve(int container);
/* An answer of our own: its length; 0 when a server is to be asked. */
uint32_t answer_here(const uint8_t *asked, const struct dns_query *query, int code, uint32_t room, uint8_t *to);
/* How many times servers are asked, one after the other, before that is given up. */
uint32_t attempts(void);
/* When the server that is asked now gives way to the next. */
uint64_t patience(void);
uint16_t random_id(void);
/* A socket connected to the server whose turn it is, or -errno. */
long connect_server(uint32_t attempt, int type);
/* A server that cannot or will not answer: another may. */
int is_no_answer(const uint8_t *message);

/* resolve-streams.c */
void begin_streams(void);
int can_accept(void);
void accept_stream(int listener);
/* Fills in what the streams wait for, two places each; the time when the first of them is overdue. */
struct pollfd;
uint64_t list_streams(struct pollfd *polls, uint64_t due);
void serve_streams(const struct pollfd *polls);
void end_overdue_streams(uint64_t now);

#endif
