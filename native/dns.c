/* dns.c: messages of the domain name system, RFC 1035. Whatever bytes come, nothing is read or written outside of them, every
 * loop ends with the message, and no answer of ours goes to what is an answer itself. No system calls. */
#include "dns.h"
#include <stddef.h>

#define QUESTION_TAIL 4                /* type and class */
#define RECORD_TAIL 10                 /* type, class, time to live, length */
#define OPT_SIZE 11
#define CLASS_IN 1
#define TTL 600                        /* seconds, as Docker's */
#define UDP_ROOM 1232                  /* bytes of a query that we take: what every path carries */
#define LABEL_MAX 63
#define NAME_MAX 255                   /* bytes of a name in a message */

enum { ANSWERS = 0x80, OPCODE = 0x78, TRUNCATED = 2, RECURSION_DESIRED = 1, RECURSION_AVAILABLE = 0x80 };

static uint8_t lower(uint8_t c)
{
        return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
}

static int may_be_ours(uint8_t c)
{
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

/* The question's name, which is not compressed: where it ends, 0 when it does not. */
static uint32_t read_name(const uint8_t *message, uint32_t length, char *name)
{
        uint32_t at = DNS_HEAD, written = 0;
        int ours = 1;
        for (;;) {
                if (at >= length || message[at] > LABEL_MAX)
                        return 0;
                uint32_t label = message[at++];
                if (label == 0)
                        break;
                if (label > length - at || at + label - DNS_HEAD >= NAME_MAX)
                        return 0;
                if (written > 0)
                        name[written++] = '.';
                for (; label > 0; label--) {
                        uint8_t c = lower(message[at++]);
                        ours &= may_be_ours(c);
                        name[written++] = (char)c;
                }
        }
        name[ours ? written : 0] = 0;
        return at;
}

/* Past the name of a record: 0 when it does not end. */
static uint32_t skip_name(const uint8_t *message, uint32_t length, uint32_t at)
{
        while (at < length) {
                uint32_t label = message[at];
                if (label >= 0xc0)
                        return length - at >= 2 ? at + 2 : 0;
                if (label > LABEL_MAX)
                        return 0;
                at += label + 1;
                if (label == 0)
                        return at <= length ? at : 0;
        }
        return 0;
}

static int read_extension(const uint8_t *message, uint32_t length, struct dns_query *query, uint32_t records)
{
        uint32_t at = query->end;
        int code = DNS_FINE;
        for (; records > 0; records--) {
                uint32_t name = at;
                at = skip_name(message, length, at);
                if (at == 0 || length - at < RECORD_TAIL)
                        return DNS_MALFORMED;
                uint32_t type = dns_number(message + at), size = dns_number(message + at + 8);
                if (length - at - RECORD_TAIL < size)
                        return DNS_MALFORMED;
                if (type == DNS_OPT) {
                        if (query->extended || at - name != 1)
                                return DNS_MALFORMED;
                        query->extended = 1;
                        query->room = dns_number(message + at + 2);
                        if (message[at + 5] != 0)
                                code = DNS_BAD_VERSION;
                }
                at += RECORD_TAIL + size;
        }
        if (query->room < DNS_UDP_LEAST)
                query->room = DNS_UDP_LEAST;
        return at == length ? code : DNS_MALFORMED;
}

int dns_read(const uint8_t *message, uint32_t length, struct dns_query *query)
{
        *query = (struct dns_query){.room = DNS_UDP_LEAST};
        if (length < DNS_HEAD || message[2] & ANSWERS)
                return -1;
        query->id = dns_number(message);
        if (message[2] & OPCODE)
                return DNS_NOT_DONE;
        if (length > DNS_QUERY_MAX || dns_number(message + 4) != 1 || dns_number(message + 6) != 0 || dns_number(message + 8) != 0)
                return DNS_MALFORMED;
        uint32_t end = read_name(message, length, query->name);
        if (end == 0 || length - end < QUESTION_TAIL)
                return DNS_MALFORMED;
        query->type = dns_number(message + end);
        query->internet = dns_number(message + end + 2) == CLASS_IN;
        query->end = (uint16_t)(end + QUESTION_TAIL);
        int code = read_extension(message, length, query, dns_number(message + 10));
        if (code == DNS_FINE && (query->type == DNS_AXFR || query->type == DNS_IXFR))
                return DNS_NOT_DONE;   /* answers of many messages */
        return code;
}

/* A name as labels, its end included: its length, 0 when it is none. */
static uint32_t write_name(const char *name, uint8_t to[NAME_MAX + 1])
{
        uint32_t label = 0, at = 1;
        for (; *name; name++) {
                if (at >= NAME_MAX)
                        return 0;
                if (*name != '.') {
                        to[at++] = (uint8_t)*name;
                        continue;
                }
                if (at - label - 1 == 0 || at - label - 1 > LABEL_MAX)
                        return 0;
                to[label] = (uint8_t)(at - label - 1);
                label = at++;
        }
        if (at - label - 1 == 0 || at - label - 1 > LABEL_MAX)
                return 0;
        to[label] = (uint8_t)(at - label - 1);
        to[at++] = 0;
        return at;
}

struct writer {
        uint8_t *to;
        uint32_t at, room;
        uint32_t records;
        int cut;
};

/* A record about the name that was asked for. */
static void write_record(struct writer *writer, uint16_t type, const void *data, uint32_t size)
{
        static const uint8_t name[] = {0xc0, DNS_HEAD};
        if (writer->cut || writer->room - writer->at < sizeof name + RECORD_TAIL + size) {
                writer->cut = 1;
                return;
        }
        uint8_t *at = writer->to + writer->at;
        __builtin_memcpy(at, name, sizeof name);
        dns_put(at + 2, type);
        dns_put(at + 4, CLASS_IN);
        dns_put(at + 6, 0);
        dns_put(at + 8, TTL);
        dns_put(at + 10, size);
        __builtin_memcpy(at + 12, data, size);
        writer->at += (uint32_t)sizeof name + RECORD_TAIL + size;
        writer->records++;
}

static void write_records(struct writer *writer, const struct dns_query *query, const struct dns_answer *answer)
{
        uint8_t name[NAME_MAX + 1];
        if (query->type == DNS_PTR) {
                uint32_t size = answer->pointer ? write_name(answer->pointer, name) : 0;
                if (size > 0)
                        write_record(writer, DNS_PTR, name, size);
                return;
        }
        for (uint32_t i = 0; i < answer->count; i++)
                write_record(writer, query->type, answer->addresses[(answer->first + i) % answer->count], query->type == DNS_A ? 4 : 16);
}

uint32_t dns_write(const uint8_t *asked, const struct dns_query *query, int code, const struct dns_answer *answer, uint32_t room, uint8_t *to)
{
        uint32_t end = query->end ? query->end : DNS_HEAD, tail = query->extended ? OPT_SIZE : 0;
        struct writer writer = {to, end, (room < DNS_ANSWER_MAX ? room : DNS_ANSWER_MAX) - tail, 0, 0};
        __builtin_memcpy(to, asked, end);
        if (answer)
                write_records(&writer, query, answer);
        to[2] = (uint8_t)(ANSWERS | (asked[2] & (OPCODE | RECURSION_DESIRED)) | (writer.cut ? TRUNCATED : 0));
        to[3] = (uint8_t)(RECURSION_AVAILABLE | (code & 15));
        dns_put(to + 4, query->end ? 1 : 0);
        dns_put(to + 6, writer.records);
        dns_put(to + 8, 0);
        dns_put(to + 10, query->extended);
        if (query->extended) {
                uint8_t *opt = to + writer.at;
                for (int i = 0; i < OPT_SIZE; i++)
                        opt[i] = 0;
                dns_put(opt + 1, DNS_OPT);
                dns_put(opt + 3, UDP_ROOM);
                opt[5] = (uint8_t)(code >> 4);
                writer.at += OPT_SIZE;
        }
        return writer.at;
}

int dns_is_answer(const uint8_t *asked, const struct dns_query *query, uint16_t id, const uint8_t *message, uint32_t length)
{
        if (length < DNS_HEAD || dns_number(message) != id || !(message[2] & ANSWERS) || message[2] & OPCODE)
                return 0;
        /* Old servers say without the question that they did not understand it. */
        if (dns_number(message + 4) == 0)
                return length == DNS_HEAD && dns_code(message) != DNS_FINE && dns_code(message) != DNS_NO_SUCH_NAME;
        if (dns_number(message + 4) != 1 || length < query->end)
                return 0;
        uint32_t type = query->end - QUESTION_TAIL;
        for (uint32_t i = DNS_HEAD; i < query->end; i++)
                if (i < type ? lower(message[i]) != lower(asked[i]) : message[i] != asked[i])
                        return 0;
        return 1;
}

uint32_t dns_cut(const struct dns_query *query, uint8_t *message)
{
        message[2] |= TRUNCATED;
        for (int i = 6; i < DNS_HEAD; i++)
                message[i] = 0;
        return query->end;
}

static int digit_of(char c)
{
        return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Whether text begins with what ends here: where it goes on. */
static const char *after(const char *text, const char *beginning)
{
        while (*beginning)
                if (*text++ != *beginning++)
                        return 0;
        return text;
}

static uint32_t reversed_ipv4(const char *name, uint8_t address[16])
{
        for (int i = 3; i >= 0; i--) {
                int number = 0, digits = 0;
                for (; *name >= '0' && *name <= '9' && digits < 3; digits++)
                        number = number * 10 + (*name++ - '0');
                if (digits == 0 || number > 255 || *name++ != '.')
                        return 0;
                address[i] = (uint8_t)number;
        }
        const char *end = after(name, "in-addr.arpa");
        return end && *end == 0 ? 4 : 0;
}

static uint32_t reversed_ipv6(const char *name, uint8_t address[16])
{
        for (int i = 31; i >= 0; i--) {
                int digit = digit_of(*name);
                if (digit < 0 || name[1] != '.')
                        return 0;
                name += 2;
                if (i % 2)
                        address[i / 2] = (uint8_t)digit;
                else
                        address[i / 2] |= (uint8_t)(digit << 4);
        }
        const char *end = after(name, "ip6.arpa");
        return end && *end == 0 ? 16 : 0;
}

uint32_t dns_reversed(const char *name, uint8_t address[16])
{
        uint32_t size = reversed_ipv4(name, address);
        return size ? size : reversed_ipv6(name, address);
}
