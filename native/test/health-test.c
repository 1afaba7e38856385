/* health-test.c: the health check of a monitor, under the address and undefined-behaviour sanitizers: `make -C native sanitize`,
 * then `native/build/sanitize/health-test DIRECTORY`. Its probes are processes that the test forks. Prints a line for each fact
 * that held; ends with 1 at the first that does not. */
#include "../monitor-health.c"

/* libc's headers and the kernel's, which the core uses, cannot be included together. */
int printf(const char *format, ...);
_Noreturn void exit(int code);
void *memset(void *to, int byte, size_t size);
char *strcpy(char *restrict to, const char *restrict from);
char *strstr(const char *text, const char *part);
int strcmp(const char *a, const char *b);
int main(int argc, char **argv);

#define ORDERS ((struct ct_orders *)orders_bytes)
#define HOUR 3600000000000u
#define TEXT_AT (sizeof(struct ct_health))

static struct monitor m;
static char file[256 * 1024];
static uint32_t state = 1, told;

/* What the next probe does. */
static struct {
        uint32_t bytes;                /* of output */
        int code, error;               /* it ends with; or its start fails with, at its last step */
        int hangs, missing;            /* it never ends; it never came to be a process */
} next;
static int begun;

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

/* --- the rest of the monitor --- */

void say(struct monitor *told_of, int type, const void *body, uint32_t length)
{
        (void)told_of, (void)body, (void)length;
        told += type == CT_SAID_HEALTH;
}

uint64_t lost_lines(void)
{
        return 0;
}

int reap_group(int32_t group)
{
        (void)group;
        return 1;
}

int fork_starter(struct monitor *asked, struct helper *starter, int plan, const int *passed, int count)
{
        int ends[2];
        (void)asked, (void)plan;
        check(count == 4, "a probe is passed its streams and the container");
        begun++;
        sys2(__NR_pipe2, ends, O_CLOEXEC);
        starter->socket = ends[0];
        starter->pid = 0;
        if (!next.missing)
                starter->pid = (int)fork_process();
        if (starter->pid == 0 && !next.missing) {
                static char text[65536];
                sys2(__NR_setpgid, 0, 0);
                close_fd(ends[0]);
                for (uint32_t i = 0; i < sizeof text; i++)
                        text[i] = (char)('a' + i % 26);
                for (uint32_t written = 0; written < next.bytes; written += (uint32_t)sizeof text)
                        sys3(__NR_write, passed[1], text, next.bytes - written < sizeof text ? next.bytes - written : sizeof text);
                close_fd(ends[1]);
                while (next.hangs)
                        sleep_us(1000000);
                quit(next.code);
        }
        if (starter->pid > 0)
                sys2(__NR_setpgid, starter->pid, starter->pid);
        close_fd(ends[1]);
        return 0;
}

void kill_starter(const struct helper *starter)
{
        if (starter->pid > 0)
                sys2(__NR_kill, -starter->pid, SIGKILL_);
}

int hear_starter(struct helper *starter, struct report *report, int *pidfd)
{
        *report = (struct report){.executed_ns = now_ns(), .error = next.error, .step = next.error == ENOENT ? 1 : 0, .pid = starter->pid};
        *pidfd = starter->pid > 0 ? (int)sys2(__NR_pidfd_open, starter->pid, 0) : -1;
        close_if_open(&starter->socket);
        return 1;
}

/* --- a plan with orders --- */

struct made {
        struct ct_plan plan;
        struct ct_step steps[2];
        char zero[8];
        struct ct_health orders;
        char text[512];
};

static struct made made;

static void make_orders(uint64_t start_period, uint32_t retries)
{
        char *text = made.text;
        memset(&made, 0, sizeof made);
        made.plan = (struct ct_plan){CT_PLAN_MAGIC, CT_ABI, sizeof made, sizeof made.plan + sizeof made.steps, {1, 1, 2, 2, 2, 2},
                                     8, sizeof made - offsetof(struct made, orders) - 8};
        made.orders = (struct ct_health){.version = CT_HEALTH, .size = made.plan.orders_size, .interval_ns = HOUR, .timeout_ns = 200000000,
                                         .start_period_ns = start_period, .start_interval_ns = HOUR, .start_deadline_ns = 10000000000u,
                                         .retries = retries};
        uint32_t *const places[] = {&made.orders.pause_file, &made.orders.begun_events, &made.orders.ended_events,
                                    &made.orders.healthy_events, &made.orders.unhealthy_events};
        static const char *const words[] = {"paused", "create \x03 start \x03\n", "die \x03 \x02\n", "healthy\n", "unhealthy\n"};
        for (int i = 0; i < 5; i++) {
                *places[i] = (uint32_t)(TEXT_AT + (size_t)(text - made.text));
                strcpy(text, words[i]);
                while (*text++)
                        ;
        }
}

static void write_file(int directory, const char *name, const void *bytes, size_t size)
{
        long fd = sys4(__NR_openat, directory, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        sys3(__NR_write, fd, bytes, size);
        close_fd((int)fd);
}

static const char *content(int directory, const char *name)
{
        long fd = sys4(__NR_openat, directory, name, O_RDONLY, 0), n = fd < 0 ? 0 : sys3(__NR_read, fd, file, sizeof file - 1);
        if (fd >= 0)
                close_fd((int)fd);
        file[n] = 0;
        return file;
}

static int says(const char *name, const char *part)
{
        return strstr(content(m.directory, name), part) != 0;
}

static void begin(int directory)
{
        write_file(directory, "probe.bin", &made, sizeof made);
        m.executed_ns = now_ns();
        m.stage = RUNNING;
        begin_health(&m);
}

/* As the monitor's loop does. */
static void wait_and_serve(void)
{
        struct pollfd polled[HEALTH_POLLS];
        struct ct_timespec wait = {0, 20000000};
        for (int i = 0; i < HEALTH_POLLS; i++)
                polled[i] = (struct pollfd){-1, POLLIN, 0};
        list_health(polled);
        long n = sys5(__NR_ppoll, polled, HEALTH_POLLS, &wait, 0, 8);
        serve_health(&m, n > 0 ? polled : 0);
}

/* Until so many results were told. The next probe is due whenever the last is over. */
static void serve(uint32_t results)
{
        for (uint32_t until = told + results; told < until;) {
                if (h.at == RESTING)
                        h.due = now_ns();
                wait_and_serve();
        }
}

static void test_results(int directory)
{
        make_orders(0, 3);
        begin(directory);
        check(says("health.json", "{\"version\":1,\"status\":\"starting\",\"failingStreak\":0,\"log\":[]}"), "at first it is starting");
        next.bytes = 10;
        serve(1);
        check(says("health.json", "\"status\":\"healthy\"") && says("health.json", "\"output\":\"abcdefghij\""), "code 0 is healthy");
        check(says("journal", "create ") && says("journal", "healthy\n") && !says("journal", "\x03"), "and told");
        next.code = 7;
        serve(2);
        check(says("health.json", "\"status\":\"healthy\",\"failingStreak\":2"), "two failures of three make it no worse");
        serve(1);
        check(says("health.json", "\"status\":\"unhealthy\",\"failingStreak\":3") && says("health.json", "\"outcome\":\"exited\",\"code\":7"),
              "the third does");
        check(says("journal", "unhealthy\n") && says("journal", " 7\n"), "and is told");
        next.code = 0;
        serve(1);
        check(says("health.json", "\"status\":\"healthy\",\"failingStreak\":0"), "one success makes it well");
        for (int round = 0; round < 60; round++) {
                next.bytes = random_number() % 3 == 0 ? random_number() % 100000 : random_number() % 5000;
                next.code = (int)(random_number() % 2);
                serve(1);
        }
        check(says("health.json", "\"outcome\""), "any amount of output is read, and five results are kept");
        int count = 0, begins = 1;
        for (const char *at = content(directory, "health.json"); (at = strstr(at, "\"output\":\"")); at++, count++)
                begins &= at[10] == 'a' || at[10] == '"';
        check(begins, "each with its own output from the beginning on");
        check(count == HEALTH_RESULTS_MAX, "no more than five");
        next.bytes = 4097, next.code = 0;
        serve(1);
        check(says("health.json", "\"truncated\":1"), "what is cut is marked");
        next.bytes = 4096;
        serve(5);
        check(!says("health.json", "\"truncated\":1"), "what is not, is not");
        next.bytes = 0;
        end_health();
        check(health_due() == 0, "at the end of the container nothing is due");
}

static void test_failures(int directory)
{
        make_orders(0, 1);
        begin(directory);
        next.error = ENOENT;
        next.code = 127;
        serve(1);
        check(says("health.json", "\"outcome\":\"exec\",\"code\":2"), "a program that is not there is a failure of exec");
        next.missing = 1;
        next.error = ESRCH;
        serve(1);
        check(says("health.json", "\"outcome\":\"join\",\"code\":3"), "what could not join is another");
        next.missing = next.error = next.code = 0;
        next.hangs = 1;
        serve(1);
        check(says("health.json", "\"outcome\":\"timeout\",\"code\":0"), "what takes too long is killed, and has failed");
        end_health();
        begin(directory);
        int before = begun;
        h.due = now_ns();
        serve_health(&m, 0);
        check(begun == before + 1, "a probe is begun");
        end_health();
        next.hangs = 0;
        begin(directory);
        serve(2);
        check(says("health.json", "\"status\":\"healthy\""), "the last probe of a run says nothing of the next");
        end_health();
        make_orders(100000000000u, 1);
        begin(directory);
        next.code = 1;
        serve(3);
        check(says("health.json", "\"status\":\"starting\",\"failingStreak\":0"), "failures in the start period do not count");
        write_file(directory, "paused", "1\n", 2);
        before = begun;
        for (int i = 0; i < 100; i++) {
                h.due = now_ns();
                serve_health(&m, 0);
        }
        check(begun == before, "of what stands still nothing is asked");
        sys3(__NR_unlinkat, directory, "paused", 0);
        next.hangs = 1;
        h.due = now_ns();
        serve_health(&m, 0);
        write_file(directory, "paused", "1\n", 2);
        before = (int)told;
        h.due = now_ns();
        serve_health(&m, 0);
        while (h.at != RESTING)
                wait_and_serve();
        check(before == (int)told && h.due > now_ns(), "what was under way when it came to a stand is given up, and means nothing");
        next.hangs = 0;
        sys3(__NR_unlinkat, directory, "paused", 0);
        next.code = 0;
        serve(2);
        next.code = 1;
        serve(1);
        check(says("health.json", "\"status\":\"unhealthy\""), "once it was well, they do count");
        end_health();
}

/* The kernel kills the processes of a container whose first has ended, and shows the end of that one last. */
static void test_end(int directory)
{
        int own = m.pid;
        make_orders(0, 1);
        next.code = 0;
        begin(directory);
        serve(1);
        m.pid = (int)fork_process();
        if (m.pid == 0)
                sys1(__NR_exit_group, 0);
        struct exit_info info;
        sys5(__NR_waitid, P_PID, m.pid, &info, WEXITED | WNOWAIT, 0);
        next.code = 137;
        uint32_t before = told;
        h.due = now_ns();
        serve_health(&m, 0);
        while (h.at != RESTING)
                wait_and_serve();
        check(told == before && says("health.json", "\"status\":\"healthy\",\"failingStreak\":0"),
              "what dies with its container means nothing");
        sys5(__NR_waitid, P_PID, m.pid, &info, WEXITED, 0);
        m.pid = own;
        next.code = 0;
        end_health();
}

/* Orders with anything in them are taken or refused, and never read beyond their end. */
static void test_spoilt(int directory)
{
        make_orders(0, 1);
        struct made whole = made;
        for (int round = 0; round < 2000; round++) {
                made = whole;
                for (uint32_t i = 0; i <= random_number() % 4; i++)
                        ((char *)&made)[sizeof(struct ct_plan) + random_number() % (sizeof made - sizeof(struct ct_plan))] = (char)random_number();
                begin(directory);
                end_health();
        }
        check(1, "spoilt orders are taken or refused, and do no harm");
}

static void test_journal(int directory)
{
        sys3(__NR_unlinkat, directory, "journal", 0);
        ORDERS->journal_most = 1000;
        for (int i = 0; i < 200; i++)
                write_lines("a line of the journal\n", 0, "");
        check(says("aside", "a line") && says("journal", "a line"), "a journal that is long enough is put aside");
        struct statx st;
        sys5(__NR_statx, directory, "aside", 0, STATX_SIZE, &st);
        check(st.stx_size > 1000 && st.stx_size < 1100, "at its size");
}

int main(int argc, char **argv)
{
        int directory = argc > 1 ? (int)sys4(__NR_openat, AT_FDCWD, argv[1], O_RDONLY | O_DIRECTORY, 0) : -1;
        check(directory >= 0 && sys1(__NR_fchdir, directory) == 0, "a directory is given");
        m.directory = directory;
        m.pidfd = -1;
        m.pid = (int)sys0(__NR_getpid);
        ORDERS->journal = sizeof(struct ct_orders);
        strcpy(orders_bytes + sizeof(struct ct_orders), "journal");
        ORDERS->journal_aside = sizeof(struct ct_orders) + 8;
        strcpy(orders_bytes + sizeof(struct ct_orders) + 8, "aside");
        test_results(directory);
        test_failures(directory);
        test_end(directory);
        test_spoilt(directory);
        test_journal(directory);
        return 0;
}
