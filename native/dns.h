/* dns.h: reading and writing messages of the domain name system, RFC 1035: see dns.c. */
#ifndef CT_DNS_H
#define CT_DNS_H
#include <stdint.h>

#define DNS_HEAD 12
#define DNS_NAME_MAX 256               /* "a.b", lower case, with its NUL */
#define DNS_QUERY_MAX 1024             /* bytes of a query; none of today's has more */
#define DNS_ANSWER_MAX 4096            /* bytes of an answer of our own */
#define DNS_ADDRESSES_MAX 96           /* in one answer: they fit */
#define DNS_UDP_LEAST 512              /* bytes that every asker takes */

enum { DNS_FINE = 0, DNS_MALFORMED = 1, DNS_FAILED = 2, DNS_NO_SUCH_NAME = 3, DNS_NOT_DONE = 4, DNS_REFUSED = 5, DNS_BAD_VERSION = 16 };
enum { DNS_A = 1, DNS_PTR = 12, DNS_AAAA = 28, DNS_OPT = 41, DNS_IXFR = 251, DNS_AXFR = 252 };

struct dns_query {
        uint16_t id, type;
        uint16_t end;                  /* of the question, which begins at DNS_HEAD; 0 = there is none that could be read */
        uint16_t room;                 /* bytes of an answer over udp that the asker takes */
        uint8_t extended;              /* it speaks EDNS, RFC 6891 */
        uint8_t internet;              /* of class IN */
        char name[DNS_NAME_MAX];       /* "" = the root, or none of the names that containers have */
};

struct dns_answer {
        uint32_t count;
        uint8_t (*addresses)[16];      /* of A the first four bytes */
        uint32_t first;                /* the one that comes first, then those after it, then those before */
        const char *pointer;           /* for PTR, a name; 0 = none */
};

/* What the answer's code has to be when there is one; DNS_FINE to look further; -1 for what is not to be answered. */
int dns_read(const uint8_t *message, uint32_t length, struct dns_query *query);
/* Writes an answer of at most room bytes, room being at least DNS_UDP_LEAST; its length. answer: 0 = without records. */
uint32_t dns_write(const uint8_t *asked, const struct dns_query *query, int code, const struct dns_answer *answer, uint32_t room, uint8_t *to);
/* Whether a message, of which these are the first bytes, answers the query that was sent on with this id. */
int dns_is_answer(const uint8_t *asked, const struct dns_query *query, uint16_t id, const uint8_t *message, uint32_t length);
/* Makes an answer of more bytes than its asker takes one that says so: it asks again over tcp. The new length. */
uint32_t dns_cut(const struct dns_query *query, uint8_t *message);
/* The address that a name below in-addr.arpa or ip6.arpa stands for: 4 or 16, its bytes; 0 for other names. */
uint32_t dns_reversed(const char *name, uint8_t address[16]);

static inline uint16_t dns_number(const uint8_t *at)
{
        return (uint16_t)(at[0] << 8 | at[1]);
}

static inline void dns_put(uint8_t *at, uint32_t number)
{
        at[0] = (uint8_t)(number >> 8);
        at[1] = (uint8_t)number;
}

static inline int dns_code(const uint8_t *message)
{
        return message[3] & 15;
}

#endif
