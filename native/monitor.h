/* monitor.h: the parts of a monitor. One process, one thread; none of it blocks for long. */
#ifndef CT_MONITOR_H
#define CT_MONITOR_H
#include "control.h"
#include "launcher.h"

#define CLD_EXITED_ 1

#define CLIENTS_MAX 32
#define LINE_SIZE 16384                /* a longer line is logged in pieces of this: moby, daemon/logger/copier.go */
#define CHUNK_SIZE 61440               /* what is read at once; a record has room for it */
#define ORDERS_SIZE 32768
#define TIME_SIZE 40
#define JOURNAL_PATH_SIZE 108          /* of an address: unix(7) */
#define HEALTH_RESULTS_MAX 5           /* moby, daemon/health.go, as the next */
#define HEALTH_OUTPUT_MAX 4096
#define EXEC_ID_SIZE 65

enum stage {
        BORN,                          /* waits for START */
        STARTING,                      /* a starter is at work */
        LOSING,                        /* a start failed: its child is killed, and reaped */
        RUNNING,
        CLEANING,                      /* a cleaner is at work */
        PAUSING,                       /* before a restart */
        ENDED,                         /* what clients have not read yet is all that is left */
};

struct stream {
        int fd;                        /* -1: at its end */
        uint32_t have;                 /* bytes of a line whose end has not come */
        uint32_t goes_on;              /* a piece of this line is logged already, */
        char since[TIME_SIZE];         /* with this time: the pieces that follow bear the same */
};

struct client {
        int fd;                        /* -1: free */
        uint32_t attached;             /* CT_ATTACH_* */
        uint32_t have, used_input;     /* bytes of requests that were read; of the first one's input those handed on */
        uint32_t head, used;           /* in the ring: what was not sent yet */
        uint64_t dropped[2];           /* of stdout, stderr, since the last that went through */
        char *memory;                  /* the ring, and behind it room for requests */
};

struct ending {
        int32_t code, status;          /* of waitid(2) */
        uint32_t deadline;             /* 1: ours killed it */
        uint32_t restarts;             /* 1: a restart is due */
        uint64_t user_us, system_us, peak_rss_kb, duration_ns;
        uint32_t reports_size;
        char reports[16384];           /* as in struct ct_exited */
};

static inline void close_if_open(int *fd)
{
        if (*fd >= 0)
                close_fd(*fd);
        *fd = -1;
}

static inline void set_nonblocking(int fd)
{
        long flags = sys3(__NR_fcntl, fd, F_GETFL, 0);
        sys3(__NR_fcntl, fd, F_SETFL, flags | O_NONBLOCK);
}

/* siginfo_t as the kernel lays it out on 64-bit machines */
struct exit_info {
        int32_t signal, error, code, pad, pid;
        uint32_t uid;
        int32_t status;
        int32_t rest[25];
};

/* A process that does one thing and reports over a socket. */
struct helper {
        int pid, socket;               /* -1: none is at work */
        struct progress *progress;     /* a starter's */
};

struct monitor {
        struct launcher *launcher;
        int directory;                 /* the working directory as well */
        int listener, life[2];
        int alive;                     /* open for writing as long as it restarts the container: orders */
        int plan;                      /* plan.bin as the present run has it */
        int pidfd, pid;
        struct helper helper;          /* starter or cleaner, one at a time */
        int input;                     /* writing end of stdin, or the terminal */
        int terminal;                  /* 1: input and streams[0].fd are one */
        int terminal_socket;           /* over which the starting container sends it */
        int32_t beside[CT_BESIDE];     /* they serve the container; 0 = none */
        int passed[CT_PASSED_MAX];     /* to each start: room for its streams, then namespaces of another container's */
        int passed_count;
        enum stage stage;
        int final;                     /* no restart any more */
        int cleaned;                   /* the teardown that runs, or ran last, was for good */
        int starters_lost, cleaners_lost;      /* since one told how it ended */
        int gave_up;                   /* on the start */
        int input_waits;               /* a client's input waits until stdin takes it */
        int idle;                      /* buffers were given back since the last output */
        uint32_t restarts;
        uint32_t failed_step, failed_error;
        uint64_t requested_ns, executed_ns, due, pause_ns;
        char started[TIME_SIZE], finished[TIME_SIZE];
        struct ct_ask_signal sent;     /* the last signal that a client sent */
        struct stream streams[2];
        struct client clients[CLIENTS_MAX];
};

/* How a probe ended, and its first bytes of output: in health.json. */
struct probe_result {
        char start[TIME_SIZE], end[TIME_SIZE];
        const char *outcome;           /* "exited" with code; "timeout"; "exec" or "join" that failed, with errno as code */
        int32_t code;
        uint32_t length, truncated;
};

struct health {
        const char *status;            /* "starting", "healthy", "unhealthy" */
        uint32_t streak;               /* failures, one after the other */
        uint32_t count;
        struct probe_result results[HEALTH_RESULTS_MAX];       /* the oldest first */
        const char *texts;             /* their output, one behind the other */
};

/* A plan that is looked at for a moment; given back with the buffers when nothing happens. */
union scratch {
        struct {
                struct run run;
                struct progress progress;
        };
        char pages[16384];
};
extern union scratch scratch;

/* The orders in force, checked: strings within end in a NUL. */
extern _Alignas(struct ct_orders) char orders_bytes[ORDERS_SIZE];
static inline const struct ct_orders *orders(void)
{
        return (const struct ct_orders *)orders_bytes;
}
static inline const char *orders_text(uint32_t offset)
{
        return offset ? orders_bytes + offset : "";
}

/* monitor-orders.c: 0 or -errno */
int read_orders(int plan);
int text_is_within(const char *bytes, uint32_t offset, uint32_t size);

/* monitor.c */
void ask_to_start(struct monitor *m);
int ask_to_signal(struct monitor *m, const struct ct_ask_signal *ask, int final);
int ask_to_resize(struct monitor *m, const struct ct_ask_resize *ask);
int ask_to_reload(struct monitor *m);
void ask_to_give_up(struct monitor *m);

/* monitor-helpers.c. None of them waits; those that hear return 0 while nothing was said. */
/* Carries out the plan as a spawner would; what is passed becomes its slots. 0 or -errno. */
int fork_starter(struct monitor *m, struct helper *starter, int plan, const int *passed, int count);
/* And what it has made, up to exec. */
void kill_starter(const struct helper *starter);
/* *pidfd is that of the process it made, or -1. */
int hear_starter(struct helper *starter, struct report *report, int *pidfd);
int fork_cleaner(struct monitor *m, struct helper *cleaner);
int hear_cleaner(struct helper *cleaner, struct ct_said_ended *ended);

/* monitor-health.c */
#define HEALTH_POLLS 3
struct pollfd;
void begin_health(struct monitor *m);
void reload_health(const struct monitor *m);
void end_health(void);
/* The one that is under way, if any: as if it had never begun. */
void cancel_probe(void);
void list_health(struct pollfd *polled);
/* polled: as listed, or 0 when nothing happened. */
void serve_health(struct monitor *m, const struct pollfd *polled);
/* When something is to be done, 0 = never: CLOCK_MONOTONIC, nanoseconds. */
uint64_t health_due(void);

/* monitor-clients.c */
void accept_client(struct monitor *m);
void add_client(struct monitor *m, int fd);
void serve_client(struct monitor *m, struct client *client);
void flush_client(struct monitor *m, struct client *client);
void hang_up(struct monitor *m, struct client *client);
void retry_input(struct monitor *m);
void say(struct monitor *m, int type, const void *body, uint32_t length);
void say_output(struct monitor *m, int stream, const char *bytes, uint32_t length);
int is_held(const struct monitor *m);
int clients_unread(const struct monitor *m);
void tell_losses(struct monitor *m);

/* monitor-journal.c: a descriptor, or -errno; 0, or -errno: -EAGAIN when the journal does not read */
int open_journal(void);
int send_to_journal(int fd, int stream, const char *bytes, uint32_t length, int whole);

/* monitor-log.c: output on its way into the log */
int open_log(struct monitor *m);
void close_log(void);
void log_output(struct monitor *m, int stream, const char *bytes, uint32_t length);
void log_end(struct monitor *m, int stream);
void flush_log(void);
uint64_t lost_lines(void);
void trim_log(struct monitor *m);

/* monitor-records.c: files for whoever looks */
void write_state(struct monitor *m, const char *status);
/* That somebody wanted its end: the next boot asks. */
void note_stopped(const struct monitor *m);
void reserve_exit(const struct monitor *m);
void write_exit(struct monitor *m, const struct ending *ending);
/* Whether the kernel killed somebody for memory. */
int struck_for_memory(const struct ending *ending);
void write_health(struct monitor *m, const struct health *health);
/* Lines of the orders, by one write; what cannot be written is lost. */
void write_events(uint32_t lines, int exit_code);
/* As these, of any others. exec_id: CT_EVENT_EXEC_ID. */
void write_lines(const char *lines, int exit_code, const char *exec_id);
/* RFC 3339 in UTC with nanoseconds as Go prints them, without trailing zeros. */
void format_time(char *to, uint64_t ns);
uint64_t wall_ns(void);
/* JSON text, without quotes, as Docker's json-file driver escapes it; needs 6 bytes for one. */
char *json_escape(char *to, const char *bytes, uint32_t length);

#endif
