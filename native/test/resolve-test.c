/* resolve-test.c: the resolver under the address and undefined-behaviour sanitizers, with real sockets, servers of the test's own,
 * and bytes that nobody should send. Prints a line for each fact that held; ends with 1 at the first that does not.
 *
 *     resolve-test DIRECTORY [ROUNDS [SEED]] */
#include "../resolve.c"
#include "../resolve-streams.c"

/* libc's headers and the kernel's, which the core uses, cannot be included together. */
int printf(const char *format, ...);
_Noreturn void exit(int code);
void *malloc(size_t size);
void free(void *block);
void *memset(void *to, int byte, size_t size);
void *memcpy(void *restrict to, const void *restrict from, size_t size);
int memcmp(const void *a, const void *b, size_t size);
char *strcpy(char *restrict to, const char *restrict from);
size_t strlen(const char *text);
long strtol(const char *text, char **end, int base);
int main(int argc, char **argv);

#define LOOPBACK 0x0100007f
#define SERVERS 2

static uint8_t said[70000], heard[70000];
static uint32_t said_size;
static int asker, server_udp[SERVERS], server_tcp[SERVERS];
static struct address to_resolver, to_resolver_tcp, last_asker;
static uint64_t random_state;

static void check(int holds, const char *fact)
{
        printf("%s %s\n", holds ? "ok" : "not ok", fact);
        if (!holds)
                exit(1);
}

/* What every round has to have: silent while it holds. */
static void demand(int holds, const char *fact)
{
        if (!holds)
                check(0, fact);
}

/* --- names --- */

static void make(const char *file)
{
        char at[512];
        text_append(at, file);
        for (char *c = at; *c; c++) {
                if (*c != '/')
                        continue;
                *c = 0;
                sys3(__NR_mkdirat, AT_FDCWD, at, 0755);
                *c = '/';
        }
        if (at[text_length(at) - 1] != '/')
                close_fd((int)sys4(__NR_openat, AT_FDCWD, at, O_CREAT | O_WRONLY, 0644));
}

static void link_to(const char *target, const char *at)
{
        sys3(__NR_symlinkat, target, AT_FDCWD, at);
}

static void make_names(const char *directory)
{
        sys1(__NR_chdir, directory);
        make("networks/backend/names/web/172.18.0.2");
        make("networks/backend/names/www/172.18.0.2");
        make("networks/backend/names/www/172.18.0.4");
        make("networks/backend/names/www/not-an-address");
        make("networks/backend/names/both/172.18.0.3");
        make("networks/backend/names/both/fd00:77::3");
        make("networks/backend/names/empty/");
        make("networks/backend/pointers/");
        link_to("web", "networks/backend/pointers/172.18.0.2");
        link_to("both", "networks/backend/pointers/fd00:77::3");
        link_to("../../secret", "networks/backend/pointers/172.18.0.9");
        make("networks/other/names/web/172.19.0.7");
        make("networks/other/names/far/172.19.0.8");
        make("networks/foreign/names/hidden/172.20.0.2");
        make("own/backend/");
        make("own/other/");
        link_to("web", "own/backend/w3");
        link_to("../secret", "own/backend/bad");
        char file[128];
        for (int i = 0; i < 120; i++) {
                text_append(text_number(text_append(file, "networks/backend/names/many/10.1.0."), (uint64_t)i), "");
                make(file);
        }
        names.networks = (int)sys4(__NR_openat, AT_FDCWD, "networks", O_PATH | O_DIRECTORY, 0);
        names.own = (int)sys4(__NR_openat, AT_FDCWD, "own", O_RDONLY | O_DIRECTORY, 0);
}

/* --- sockets --- */

static int open_socket(int type, struct address *bound)
{
        struct address any = {.family = AF_INET_, .ipv4 = LOOPBACK};
        uint32_t size = sizeof *bound;
        int fd = (int)sys3(__NR_socket, AF_INET_, type | O_CLOEXEC | O_NONBLOCK, 0);
        demand(sys3(__NR_bind, fd, &any, 16) == 0, "a socket is bound");
        if (type == SOCK_STREAM_)
                sys2(__NR_listen, fd, 128), send_at_once(fd);
        memset(bound, 0, sizeof *bound);
        sys3(__NR_getsockname, fd, bound, &size);
        return fd;
}

/* Over udp and tcp at the same port: somebody else may have one of the two. */
static void open_server(int i)
{
        for (int attempt = 0; attempt < 100; attempt++) {
                server_udp[i] = open_socket(SOCK_DGRAM_, &wanted.server[i]);
                server_tcp[i] = (int)sys3(__NR_socket, AF_INET_, SOCK_STREAM_ | O_CLOEXEC | O_NONBLOCK, 0);
                if (sys3(__NR_bind, server_tcp[i], &wanted.server[i], 16) == 0 && sys2(__NR_listen, server_tcp[i], 128) == 0)
                        return;
                close_fd(server_udp[i]);
                close_fd(server_tcp[i]);
        }
        check(0, "a server is bound");
}

static void open_sockets(void)
{
        struct address own;
        int datagrams = open_socket(SOCK_DGRAM_, &to_resolver), connections = open_socket(SOCK_STREAM_, &to_resolver_tcp);
        asker = open_socket(SOCK_DGRAM_, &own);
        begin_serving(datagrams, connections);
        wanted.servers = SERVERS;
        for (int i = 0; i < SERVERS; i++)
                open_server(i);
}

/* Lets the resolver do all that there is to do. */
static void let_serve(void)
{
        struct ct_timespec now = {0, 0};
        for (int turn = 0;; turn++) {
                demand(turn < 10000, "the resolver comes to rest");
                list_descriptors(-1);
                if (sys5(__NR_ppoll, polled, AT_END, &now, 0, 8) <= 0)
                        return;
                serve(-1);
        }
}

static int open_pending(void)
{
        int count = 0;
        for (int i = 0; i < PENDING_MAX; i++)
                count += asking[i] >= 0;
        return count;
}

static void time_passes(void)
{
        for (int i = 0; i < PENDING_MAX; i++)
                pending[i].due = 0;
        for (int i = 0; i < STREAMS_MAX; i++)
                streams[i].due = 0;
        end_overdue();
        let_serve();
}

/* --- messages --- */

static uint32_t put_name(uint8_t *to, const char *name)
{
        uint32_t at = 0;
        while (*name) {
                uint32_t label = 0;
                while (name[label] && name[label] != '.')
                        label++;
                to[at++] = (uint8_t)label;
                memcpy(to + at, name, label);
                at += label;
                name += label + (name[label] == '.');
        }
        to[at++] = 0;
        return at;
}

static void say_query(uint32_t id, const char *name, uint32_t type)
{
        memset(said, 0, DNS_HEAD);
        dns_put(said, id);
        said[2] = 1;
        said[5] = 1;
        said_size = DNS_HEAD + put_name(said + DNS_HEAD, name);
        dns_put(said + said_size, type);
        dns_put(said + said_size + 2, 1);
        said_size += 4;
}

static void extend_query(uint32_t room, uint32_t version)
{
        memset(said + said_size, 0, 11);
        dns_put(said + said_size + 1, DNS_OPT);
        dns_put(said + said_size + 3, room);
        said[said_size + 6] = (uint8_t)version;
        said_size += 11;
        said[11]++;
}

static void send_said(void)
{
        sys6(__NR_sendto, asker, SYS_ARG(said), said_size, 0, SYS_ARG(&to_resolver), 16);
        let_serve();
}

static long hear(int fd)
{
        uint32_t size = sizeof last_asker;
        memset(heard, 0, 600);
        return sys6(__NR_recvfrom, fd, SYS_ARG(heard), sizeof heard, MSG_DONTWAIT_, SYS_ARG(&last_asker), SYS_ARG(&size));
}

static long ask(const char *name, uint32_t type)
{
        say_query(0x1234, name, type);
        send_said();
        return hear(asker);
}

static int records(void)
{
        return dns_number(heard + 6);
}

/* The last bytes of the nth record of the answer, whose records are about addresses. */
static int has_address(int n, uint32_t size, uint32_t last)
{
        return heard[said_size + (uint32_t)(n + 1) * (12 + size) - 1] == last;
}

/* --- facts --- */

static void names_are_answered(void)
{
        long n = ask("web", DNS_A);
        check(n == said_size + 16 && dns_number(heard) == 0x1234 && heard[2] == 0x81 && heard[3] == 0x80 && records() == 1 && has_address(0, 4, 2),
              "a name of a network is answered with its address, and the first network's comes first");
        check(dns_number(heard + said_size + 8) == 600 && dns_number(heard + said_size) == 0xc00c, "for 600 seconds, about the name that was asked for");
        check(ask("WeB", DNS_A) > 0 && records() == 1 && memcmp(heard + DNS_HEAD, said + DNS_HEAD, 5) == 0,
              "in whatever case it was asked, which the answer keeps");
        check(ask("web", DNS_AAAA) > 0 && dns_code(heard) == DNS_FINE && records() == 0, "a name without an address of the family is there, and has none");
        check(ask("web", 16) > 0 && dns_code(heard) == DNS_FINE && records() == 0, "nor has it records of other types");
        check(ask("both", DNS_AAAA) == said_size + 28 && records() == 1 && has_address(0, 16, 3), "an address of IPv6 is one");
        check(ask("web.other", DNS_A) > 0 && records() == 1 && has_address(0, 4, 7), "name.network asks that network");
        check(ask("WEB.OTHER", DNS_A) > 0 && records() == 1, "in any case, too");
        check(ask("w3", DNS_A) > 0 && has_address(0, 4, 2), "the container's own name for another leads to it");
        check(ask("w3.backend", DNS_A) > 0 && has_address(0, 4, 2), "on that network");
        check(ask("far", DNS_A) > 0 && records() == 1, "every network of the container is asked");
        check(ask("2.0.18.172.in-addr.arpa", DNS_PTR) > 0 && records() == 1 && memcmp(heard + said_size + 12, "\3web\7backend", 13) == 0,
              "an address leads back to its name and network");
        check(ask("3.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.7.7.0.0.0.0.d.f.ip6.arpa", DNS_PTR) > 0 && records() == 1, "one of IPv6 does as well");
        ask("www", DNS_A);
        int first = has_address(0, 4, 2);
        check(records() == 2 && ask("www", DNS_A) > 0 && records() == 2 && has_address(0, 4, 2) != first, "of several addresses another one is the first each time");
        check(ask("many", DNS_A) == said_size + 30 * 16 && heard[2] & 2 && records() == 30, "what does not fit is left out, and the answer says so");
        say_query(1, "many", DNS_A);
        extend_query(4096, 0);
        send_said();
        check(hear(asker) > 512 && !(heard[2] & 2) && records() == DNS_ADDRESSES_MAX, "unless its asker has room, and tells by EDNS");
        say_query(1, "web", DNS_A);
        extend_query(1232, 0);
        send_said();
        check(hear(asker) == said_size + 16 && heard[11] == 1, "EDNS is answered by EDNS");
        say_query(1, "web", DNS_A);
        extend_query(1232, 1);
        send_said();
        check(hear(asker) == said_size && heard[said_size - 6] == 1 && dns_code(heard) == 0, "a version of it that nobody knows is refused as one");
        check(open_pending() == 0, "nobody else was asked for any of that");
}

static void others_are_asked(void)
{
        check(ask("a.example", DNS_A) < 0 && hear(server_udp[0]) == said_size, "what no network knows, the first server is asked");
        int changed = dns_number(heard) != 0x1234;
        struct address own = last_asker;
        check(memcmp(heard + 2, said + 2, said_size - 2) == 0, "as it was asked, but for its number");
        ask("b.example", DNS_A);
        hear(server_udp[0]);
        check(changed || dns_number(heard) != 0x1234, "which is a new one");
        check(last_asker.port != own.port, "from a port of its own");
        uint8_t right[2] = {heard[0], heard[1]};
        heard[2] |= 0x80;
        heard[0] ^= 1;
        sys6(__NR_sendto, server_udp[0], SYS_ARG(heard), said_size, 0, SYS_ARG(&last_asker), 16);
        let_serve();
        uint8_t answer[512];
        memcpy(answer, heard, said_size);
        check(hear(asker) < 0, "an answer with another number is none");
        answer[0] = right[0];
        answer[DNS_HEAD + 1] ^= 3;
        sys6(__NR_sendto, server_udp[0], SYS_ARG(answer), said_size, 0, SYS_ARG(&last_asker), 16);
        let_serve();
        struct address resolver = last_asker;
        check(hear(asker) < 0, "nor is one to another question");
        answer[DNS_HEAD + 1] ^= 3;
        sys6(__NR_sendto, server_udp[1], SYS_ARG(answer), said_size, 0, SYS_ARG(&resolver), 16);
        let_serve();
        check(hear(asker) < 0, "nor one from anybody else");
        sys6(__NR_sendto, server_udp[0], SYS_ARG(answer), said_size, 0, SYS_ARG(&resolver), 16);
        let_serve();
        check(hear(asker) == said_size && dns_number(heard) == 0x1234 && open_pending() == 1, "the right one goes back to who asked");
        time_passes();
        check(hear(server_udp[1]) > 0, "a server that does not answer in time gives way to the next");
        heard[2] |= 0x80;
        heard[3] = 0x80 | DNS_REFUSED;
        sys6(__NR_sendto, server_udp[1], SYS_ARG(heard), said_size, 0, SYS_ARG(&last_asker), 16);
        let_serve();
        check(hear(asker) == said_size && dns_code(heard) == DNS_REFUSED && open_pending() == 0, "what the last one refuses is refused");
        for (int i = 0; i < 3; i++)
                send_said();
        check(open_pending() == 1, "who asks again while it waits is not asked for twice");
        while (hear(server_udp[0]) >= 0)
                ;
        for (int i = 0; i < PENDING_MAX + 10; i++) {
                say_query((uint32_t)i, "c.example", DNS_A);
                send_said();
        }
        int failed = 0;
        while (hear(asker) > 0)
                failed += dns_code(heard) == DNS_FAILED;
        check(open_pending() == PENDING_MAX && failed == 11, "more than it can remember are answered by a failure");
        time_passes();
        time_passes();
        while (hear(asker) > 0)
                ;
        check(open_pending() == 0, "and all are forgotten in time");
        for (int i = 0; i < SERVERS; i++)
                while (hear(server_udp[i]) >= 0)
                        ;
        check(ask("nothing.hidden", DNS_A) < 0 && hear(server_udp[0]) > 0 && ask("hidden", DNS_A) < 0 && hear(server_udp[0]) > 0,
              "networks that the container is not on are none of its business");
        check(ask("bad", DNS_A) < 0 && hear(server_udp[0]) > 0 && ask("9.0.18.172.in-addr.arpa", DNS_PTR) < 0 && hear(server_udp[0]) > 0,
              "no symlink leads anywhere but to a name");
        time_passes();
        time_passes();
        while (hear(asker) > 0)
                ;
        wanted.flags = CT_KEEP_SHORT_NAMES;
        check(ask("short", DNS_A) == said_size && dns_code(heard) == DNS_FINE && records() == 0 && open_pending() == 0,
              "with ndots told, a name without a dot is not sent on");
        wanted.flags = 0;
        link_to("-", "own/backend/.internal");
        check(ask("d.example", DNS_A) < 0 && open_pending() == 1, "one network that leads out is enough");
        link_to("-", "own/other/.internal");
        check(ask("e.example", DNS_A) == said_size && dns_code(heard) == DNS_FAILED && open_pending() == 1, "without any nobody outside is asked");
        sys3(__NR_unlinkat, AT_FDCWD, "own/backend/.internal", 0);
        sys3(__NR_unlinkat, AT_FDCWD, "own/other/.internal", 0);
        time_passes();
        time_passes();
        while (hear(asker) > 0)
                ;
}

static void malformed_ones_are_refused(void)
{
        say_query(7, "web", DNS_A);
        said[2] |= 0x80;
        send_said();
        check(hear(asker) < 0, "an answer is never answered");
        say_query(7, "web", DNS_A);
        said_size = 11;
        send_said();
        check(hear(asker) < 0, "nor is what has no head");
        say_query(7, "web", DNS_A);
        said[2] |= 0x28;
        send_said();
        check(hear(asker) == DNS_HEAD && dns_code(heard) == DNS_NOT_DONE, "updates and the like are not done here");
        say_query(7, "web", DNS_A);
        said[5] = 2;
        send_said();
        check(hear(asker) == DNS_HEAD && dns_code(heard) == DNS_MALFORMED, "one question at a time");
        say_query(7, "web", DNS_A);
        said[DNS_HEAD] = 0xc0;
        said[DNS_HEAD + 1] = DNS_HEAD;
        send_said();
        check(hear(asker) == DNS_HEAD && dns_code(heard) == DNS_MALFORMED, "a question that points at itself is malformed");
        say_query(7, "../../secret", DNS_A);
        send_said();
        check(hear(asker) < 0 || records() == 0, "a name is never a path");
        say_query(7, "web", DNS_AXFR);
        send_said();
        check(hear(asker) > 0 && dns_code(heard) == DNS_NOT_DONE, "there are no transfers of zones");
        memset(said, 1, 60000);
        say_query(7, "web", DNS_A);
        said_size = 60000;
        send_said();
        check(hear(asker) == DNS_HEAD && dns_code(heard) == DNS_MALFORMED, "a query of 60 kB gets an answer of 12 bytes");
        time_passes();
        time_passes();
        while (hear(asker) > 0)
                ;
        for (int i = 0; i < SERVERS; i++)
                while (hear(server_udp[i]) >= 0)
                        ;
}

/* --- tcp --- */

static int open_connection(void)
{
        int fd = (int)sys3(__NR_socket, AF_INET_, SOCK_STREAM_ | O_CLOEXEC | O_NONBLOCK, 0);
        sys3(__NR_connect, fd, &to_resolver_tcp, 16);
        send_at_once(fd);
        let_serve();
        return fd;
}

static void send_bytes(int fd, const void *bytes, uint32_t size)
{
        sys6(__NR_sendto, fd, SYS_ARG(bytes), size, MSG_DONTWAIT_ | MSG_NOSIGNAL_, 0, 0);
        let_serve();
}

static void say_over(int fd)
{
        uint8_t length[2];
        dns_put(length, said_size);
        send_bytes(fd, length, 2);
        send_bytes(fd, said, said_size);
}

/* All that is there to be read. */
static uint32_t hear_over(int fd)
{
        uint32_t got = 0;
        for (;;) {
                let_serve();
                long n = sys6(__NR_recvfrom, fd, SYS_ARG(heard + got), sizeof heard - got, MSG_DONTWAIT_, 0, 0);
                if (n <= 0)
                        return got;
                got += (uint32_t)n;
        }
}

static void streams_are_served(void)
{
        int fd = open_connection();
        say_query(9, "web", DNS_A);
        say_over(fd);
        check(hear_over(fd) == PREFIX + said_size + 16 && dns_number(heard + 2) == 9, "over tcp the same is answered");
        say_query(10, "many", DNS_A);
        say_over(fd);
        check(hear_over(fd) > 512 && !(heard[4] & 2), "one after the other, and nothing is cut");
        say_query(11, "big.example", DNS_A);
        say_over(fd);
        int at_server = (int)sys4(__NR_accept4, server_tcp[0], 0, 0, O_NONBLOCK);
        check(at_server >= 0 && hear_over(at_server) == PREFIX + said_size, "what is asked over tcp is sent on over tcp");
        static uint8_t big[60002];
        memcpy(big, heard, PREFIX + said_size);
        dns_put(big, 60000);
        big[4] |= 0x80;
        memset(big + PREFIX + said_size, 7, 60000 - said_size);
        for (uint32_t sent = 0; sent < sizeof big; sent += 30001)
                send_bytes(at_server, big + sent, 30001);
        check(hear_over(fd) == sizeof big && dns_number(heard + 2) == 11 && memcmp(heard + 4, big + 4, sizeof big - 4) == 0,
              "an answer of 60 kB comes through");
        close_fd(at_server);
        say_query(12, "fails.example", DNS_A);
        say_over(fd);
        at_server = (int)sys4(__NR_accept4, server_tcp[0], 0, 0, O_NONBLOCK);
        close_fd(at_server);
        let_serve();
        at_server = (int)sys4(__NR_accept4, server_tcp[1], 0, 0, O_NONBLOCK);
        check(at_server >= 0, "a server that hangs up gives way to the next");
        send_bytes(at_server, "\0\1x", 3);
        check(hear_over(fd) == PREFIX + said_size && dns_code(heard + 2) == DNS_FAILED, "after the last one the answer is a failure");
        close_fd(at_server);
        send_bytes(fd, "\0\3abc", 5);
        check(hear_over(fd) == 0 && open_streams == 0, "who says what is no query is hung up on");
        close_fd(fd);
        int many[STREAMS_MAX + 4];
        for (int i = 0; i < STREAMS_MAX + 4; i++)
                many[i] = open_connection();
        check(open_streams == STREAMS_MAX, "more connections than it serves have to wait");
        time_passes();
        time_passes();
        check(open_streams == 0, "those that say nothing are closed");
        for (int i = 0; i < STREAMS_MAX + 4; i++)
                close_fd(many[i]);
        let_serve();
}

/* --- bytes that nobody should send --- */

static uint32_t next_random(uint32_t below)
{
        random_state ^= random_state << 13;
        random_state ^= random_state >> 7;
        random_state ^= random_state << 17;
        return (uint32_t)(random_state >> 33) % below;
}

static void distort(uint8_t *bytes, uint32_t *size)
{
        for (uint32_t left = next_random(6); left > 0 && *size > 0; left--)
                switch (next_random(5)) {
                case 0:
                        bytes[next_random(*size)] = (uint8_t)next_random(256);
                        break;
                case 1:
                        bytes[next_random(*size)] ^= (uint8_t)(1u << next_random(8));
                        break;
                case 2:
                        *size = next_random(*size + 1);
                        break;
                case 3:
                        bytes[next_random(*size)] = (uint8_t)(next_random(2) ? 0xc0 : 0xff);
                        break;
                default:
                        for (uint32_t more = next_random(40); more > 0 && *size < 2000; more--)
                                bytes[(*size)++] = (uint8_t)next_random(256);
                }
}

static void say_something(void)
{
        static const char *const some[] = {"web", "www", "both", "many", "w3", "web.other", "a.example", "x", "", "2.0.18.172.in-addr.arpa",
                                           "3.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.7.7.0.0.0.0.d.f.ip6.arpa"};
        static const uint16_t types[] = {DNS_A, DNS_AAAA, DNS_PTR, 16, 255, DNS_OPT, DNS_AXFR};
        say_query(next_random(65536), some[next_random(sizeof some / sizeof *some)], types[next_random(sizeof types / sizeof *types)]);
        if (next_random(2))
                extend_query(next_random(65536), next_random(8) == 0);
        if (next_random(10))
                distort(said, &said_size);
}

/* What reads a message must not look behind its end: each has a block of its own. */
static void read_exactly(void)
{
        struct dns_query query;
        static uint8_t asked[DNS_QUERY_MAX];
        uint8_t *exact = malloc(said_size + 1u), *at = exact + 1;
        memcpy(at, said, said_size);
        int code = dns_read(at, said_size, &query);
        if (code == DNS_FINE) {
                demand(query.end <= said_size && query.name[DNS_NAME_MAX - 1] == 0, "a question ends in its message");
                memcpy(asked, at, query.end);
                distort(said, &said_size);
                uint8_t *answer = malloc(said_size + 1u);
                memcpy(answer + 1, said, said_size);
                dns_is_answer(asked, &query, dns_number(asked), answer + 1, said_size);
                free(answer);
        }
        free(exact);
}

static void answers_are_sound(long n, uint32_t asked_size, const uint8_t *asked)
{
        demand(n >= DNS_HEAD && heard[2] & 0x80 && memcmp(heard, asked, 2) == 0, "what comes back is an answer");
        demand(dns_code(heard) == DNS_FINE || n <= (long)asked_size || dns_code(heard) == DNS_NO_SUCH_NAME, "no refusal is longer than its query");
}

static void servers_say_something(void)
{
        for (int i = 0; i < SERVERS; i++) {
                long n;
                while ((n = hear(server_udp[i])) > 0) {
                        uint32_t size = (uint32_t)n;
                        struct address back = last_asker;
                        heard[2] |= 0x80;
                        if (next_random(4))
                                distort(heard, &size);
                        sys6(__NR_sendto, server_udp[i], SYS_ARG(heard), size, MSG_DONTWAIT_, SYS_ARG(&back), 16);
                }
                int fd;
                while ((fd = (int)sys4(__NR_accept4, server_tcp[i], 0, 0, O_NONBLOCK)) >= 0) {
                        let_serve();
                        uint32_t size = hear_over(fd);
                        if (size > 4)
                                heard[4] |= 0x80;
                        distort(heard, &size);
                        send_bytes(fd, heard, size);
                        close_fd(fd);
                }
        }
}

static void anything_may_come(long rounds, long seed)
{
        uint8_t asked[2048];
        random_state = (uint64_t)seed * 0x9e3779b97f4a7c15u + 1;
        for (long round = 0; round < rounds; round++) {
                say_something();
                memcpy(asked, said, said_size < sizeof asked ? said_size : sizeof asked);
                uint32_t size = said_size;
                if (next_random(4)) {
                        send_said();
                        long n = hear(asker);
                        if (n >= 0)
                                answers_are_sound(n, size, asked);
                } else {
                        uint8_t length[2];
                        int fd = open_connection();
                        dns_put(length, next_random(3) ? said_size : next_random(65536));
                        send_bytes(fd, length, 2);
                        send_bytes(fd, said, said_size);
                        servers_say_something();
                        hear_over(fd);
                        close_fd(fd);
                }
                say_something();
                read_exactly();
                servers_say_something();
                let_serve();
                if (next_random(50) == 0)
                        time_passes();
                while (hear(asker) >= 0)
                        ;
        }
        for (int i = 0; i < 8; i++)
                time_passes();
        while (hear(asker) > 0)
                ;
        check(open_pending() == 0 && open_streams == 0, "whatever comes, from inside or from servers, nothing of it stays");
        check(ask("web", DNS_A) == said_size + 16, "and names are answered as before");
}

int main(int argc, char **argv)
{
        if (argc < 2)
                return 2;
        make_names(argv[1]);
        open_sockets();
        names_are_answered();
        others_are_asked();
        malformed_ones_are_refused();
        streams_are_served();
        anything_may_come(argc > 2 ? strtol(argv[2], 0, 10) : 5000, argc > 3 ? strtol(argv[3], 0, 10) : 1);
        return 0;
}
