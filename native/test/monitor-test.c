/* monitor-test.c: the parts of a monitor that read what others wrote, under the address and undefined-behaviour sanitizers:
 * `make -C native sanitize`, then `native/build/sanitize/monitor-test DIRECTORY`. Prints a line for each fact that held; ends with
 * 1 at the first that does not. */
#include "../monitor.h"

/* libc's headers and the kernel's, which the core uses, cannot be included together. */
int printf(const char *format, ...);
_Noreturn void exit(int code);
void *memset(void *to, int byte, size_t size);
void *memcpy(void *restrict to, const void *restrict from, size_t size);
char *strcpy(char *restrict to, const char *restrict from);
size_t strlen(const char *text);
int strcmp(const char *a, const char *b);
int main(int argc, char **argv);

#define ORDERS ((struct ct_orders *)orders_bytes)

static struct monitor m;
static char file[4 << 20], before[4 << 20];
static uint32_t state = 1, signalled, resized, started;

static void check(int holds, const char *fact)
{
        printf("%s %s\n", holds ? "ok" : "not ok", fact);
        if (!holds)
                exit(1);
}

static uint32_t random_number(void)
{
        state ^= state << 13, state ^= state >> 17, state ^= state << 5;
        return state;
}

/* What clients ask for is monitor.c's to do. */
void ask_to_start(struct monitor *asked)
{
        asked->stage = RUNNING;
        started++;
}

int ask_to_signal(struct monitor *asked, const struct ct_ask_signal *ask, int final)
{
        (void)asked, (void)final;
        signalled = (uint32_t)ask->signal;
        return 0;
}

int ask_to_resize(struct monitor *asked, const struct ct_ask_resize *ask)
{
        (void)asked;
        resized = ask->rows;
        return 0;
}

int ask_to_reload(struct monitor *asked)
{
        (void)asked;
        return 0;
}

void ask_to_give_up(struct monitor *asked)
{
        (void)asked;
}

void cancel_probe(void)
{
}

static long read_file(int directory, const char *name, char *to, size_t room)
{
        long fd = sys4(__NR_openat, directory, name, O_RDONLY, 0), n = 0, got;
        if (fd < 0)
                return fd;
        while ((got = sys3(__NR_read, fd, to + n, room - (size_t)n)) > 0)
                n += got;
        close_fd((int)fd);
        return n;
}

static void test_times(void)
{
        char text[TIME_SIZE];
        static const struct {
                uint64_t ns;
                const char *text;
        } times[] = {{0, "1970-01-01T00:00:00Z"}, {951782400000000001u, "2000-02-29T00:00:00.000000001Z"},
                     {1767225599120000000u, "2025-12-31T23:59:59.12Z"}, {4107542400000000000u, "2100-03-01T00:00:00Z"}};
        for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
                format_time(text, times[i].ns);
                check(strcmp(text, times[i].text) == 0, times[i].text);
        }
}

/* Any bytes at all, in a room of exactly what is promised to be enough. */
static void test_escape(void)
{
        static char bytes[64], to[64 * 6 + 1];
        for (int round = 0; round < 20000; round++) {
                uint32_t length = random_number() % sizeof bytes;
                for (uint32_t i = 0; i < length; i++)
                        bytes[i] = (char)random_number();
                char *end = json_escape(to, bytes, length);
                for (char *c = to; c < end; c++)
                        if ((unsigned char)*c < 0x20 || *c == '<')
                                check(0, "what is escaped has no control characters");
        }
        check(1, "any bytes are escaped, each into six at most");
}

static void begin_log(int directory, uint32_t format, uint64_t size, uint32_t files)
{
        memset(orders_bytes, 0, sizeof orders_bytes);
        *ORDERS = (struct ct_orders){.version = CT_ORDERS, .log = format, .log_size = size, .log_files = files,
                                     .log_name = sizeof(struct ct_orders)};
        strcpy(orders_bytes + sizeof(struct ct_orders), "log");
        sys3(__NR_unlinkat, directory, "log", 0);
        m.directory = directory;
        check(open_log(&m) == 0, "a log is opened");
}

/* The same text in any pieces gives the same log, but for the times: here the binary one without its heads. */
static void test_pieces(int directory)
{
        static char text[200000];
        long lengths[2];
        for (size_t i = 0; i < sizeof text; i++)
                text[i] = (char)(random_number() % 2000 == 0 ? '\n' : 'a' + random_number() % 26);
        for (int round = 0; round < 2; round++) {
                begin_log(directory, CT_LOG_BINARY, 0, 1);
                for (size_t at = 0; at < sizeof text;) {
                        size_t piece = round == 0 ? CHUNK_SIZE : 1 + random_number() % 40000;
                        if (piece > sizeof text - at)
                                piece = sizeof text - at;
                        log_output(&m, 0, text + at, (uint32_t)piece);
                        if (random_number() % 2)
                                flush_log();
                        at += piece;
                }
                log_end(&m, 0);
                flush_log();
                close_log();
                lengths[round] = read_file(directory, "log", round == 0 ? before : file, sizeof file);
                for (long at = 0; at < lengths[round];) {
                        char *entry = (round == 0 ? before : file) + at;
                        struct ct_log_entry head;
                        memcpy(&head, entry, sizeof head);
                        memset(entry + offsetof(struct ct_log_entry, time_ns), 0, sizeof head.time_ns);
                        at += head.length + 4;
                }
        }
        int same = lengths[0] == lengths[1] && lengths[0] > (long)sizeof text;
        for (long i = 0; same && i < lengths[0]; i++)
                same = before[i] == file[i];
        check(same, "what is written in any pieces is logged as one");
}

static void test_rotation(int directory)
{
        begin_log(directory, CT_LOG_JSON, 1000, 3);
        for (int i = 0; i < 200; i++)
                log_output(&m, i % 2, "a line that is somewhat long\n", 29);
        flush_log();
        close_log();
        check(read_file(directory, "log.2", file, sizeof file) >= 1000, "a log is put aside when it has its size");
        check(read_file(directory, "log.3", file, sizeof file) < 0, "and only so many are kept");
        check(lost_lines() == 0, "nothing is lost by that");
}

static int plan_of(const void *bytes, size_t size)
{
        long fd = sys2(__NR_memfd_create, "plan", 0);
        sys3(__NR_write, fd, bytes, size);
        return (int)fd;
}

/* Orders with anything in them are taken or refused, and never read beyond their end. */
static void test_orders(void)
{
        static struct {
                struct ct_plan plan;
                char zero[8];
                struct ct_orders orders;
                char text[24];
        } made, spoilt;
        made.plan = (struct ct_plan){CT_PLAN_MAGIC, CT_ABI, sizeof made, sizeof(struct ct_plan), {0}, 8, sizeof made - sizeof made.plan - 16};
        made.orders = (struct ct_orders){.version = CT_ORDERS, .size = made.plan.orders_size, .log = CT_LOG_JSON,
                                         .log_name = sizeof(struct ct_orders)};
        strcpy(made.text, "name.log");
        int fd = plan_of(&made, sizeof made), taken = 0;
        check(read_orders(fd) == 0 && strcmp(orders_text(orders()->log_name), "name.log") == 0, "orders are taken from a plan");
        close_fd(fd);
        strcpy(made.text, "../x.log");
        fd = plan_of(&made, sizeof made);
        check(read_orders(fd) == -EINVAL, "a log outside the directory is refused");
        close_fd(fd);
        strcpy(made.text, "name.log");
        for (int round = 0; round < 5000; round++) {
                spoilt = made;
                for (uint32_t i = 0; i <= random_number() % 4; i++)
                        ((char *)&spoilt)[sizeof(struct ct_plan) + random_number() % (sizeof spoilt - sizeof(struct ct_plan))] = (char)random_number();
                fd = plan_of(&spoilt, sizeof spoilt);
                taken += read_orders(fd) == 0;
                close_fd(fd);
        }
        check(taken < 5000, "spoilt orders are taken or refused, and do no harm");
}

static int connect_client(void)
{
        int ends[2];
        sys4(__NR_socketpair, 1, 1 | O_CLOEXEC, 0, ends);
        add_client(&m, ends[0]);
        sys3(__NR_read, ends[1], file, sizeof file);
        return ends[1];
}

static struct client *last_client(void)
{
        for (int i = CLIENTS_MAX - 1; i >= 0; i--)
                if (m.clients[i].fd >= 0)
                        return &m.clients[i];
        return 0;
}

static void test_clients(void)
{
        struct {
                struct ct_record head;
                struct ct_ask_signal signal;
        } ask = {{sizeof ask, CT_ASK_SIGNAL, 0}, {15, 1}};
        struct ct_record attach = {sizeof attach, CT_ASK_ATTACH, CT_ATTACH_STDOUT};
        static char much[CHUNK_SIZE];
        m.stage = RUNNING;
        m.input = -1;
        for (int i = 0; i < CLIENTS_MAX; i++)
                m.clients[i].fd = -1;
        int client = connect_client();
        for (size_t i = 0; i < sizeof ask; i++) {      /* a byte at a time */
                sys3(__NR_write, client, (char *)&ask + i, 1);
                serve_client(&m, last_client());
        }
        check(signalled == 15, "a request is taken whole, in whatever pieces it comes");
        sys3(__NR_write, client, &attach, sizeof attach);
        serve_client(&m, last_client());
        for (int i = 0; i < 100; i++)
                say_output(&m, 0, much, sizeof much);
        check(last_client() && last_client()->dropped[0] > 0, "a client that does not read loses output, and stays");
        close_fd(client);
        for (int round = 0; round < 3000; round++) {
                static char noise[4096];
                uint32_t length = 1 + random_number() % sizeof noise;
                for (uint32_t i = 0; i < length; i++)
                        noise[i] = (char)random_number();
                ((struct ct_record *)noise)->length = random_number() % 3 ? 8 + random_number() % 64 : random_number();
                ((struct ct_record *)noise)->type = (uint16_t)(random_number() % 12);
                client = connect_client();
                sys3(__NR_write, client, noise, length);
                for (int i = 0; i < 3 && last_client(); i++)
                        serve_client(&m, last_client());
                close_fd(client);
                if (last_client())
                        serve_client(&m, last_client());
        }
        check(1, "noise from clients harms nobody");
}

int main(int argc, char **argv)
{
        int directory = argc > 1 ? (int)sys4(__NR_openat, AT_FDCWD, argv[1], O_RDONLY | O_DIRECTORY, 0) : -1;
        check(directory >= 0, "a directory is given");
        test_times();
        test_escape();
        test_pieces(directory);
        test_rotation(directory);
        test_orders();
        test_clients();
        return 0;
}
