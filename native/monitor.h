/* monitor.h: the parts of a monitor. One process, one thread; none of it blocks for long. */
#ifndef CT_MONITOR_H
#define CT_MONITOR_H
#include "control.h"
#include "launcher.h"

#define CLIENTS_MAX 32
#define LINE_SIZE 16384                /* a longer line is logged in pieces of this: moby, daemon/logger/copier.go */
#define CHUNK_SIZE 61440               /* what is read at once; a record has room for it */
#define ORDERS_SIZE 32768
#define TIME_SIZE 40
#define JOURNAL_PATH_SIZE 108          /* of an address: unix(7) */

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

struct monitor {
        struct launcher *launcher;
        int directory;                 /* the working directory as well */
        int listener, life[2];
        int alive;                     /* open for writing as long as it restarts the container: orders */
        int plan;                      /* plan.bin as the present run has it */
        int pidfd, pid;
        int helper, helper_pid;        /* starter or cleaner: its socket */
        int input;                     /* writing end of stdin, or the terminal */
        int terminal;                  /* 1: input and streams[0].fd are one */
        int terminal_socket;           /* over which the starting container sends it */
        struct progress *progress;     /* the starter's */
        int32_t forwarder;             /* holds the container's ports; 0 = none */
        enum stage stage;
        int final;                     /* no restart any more */
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

/* monitor.c */
void ask_to_start(struct monitor *m);
int ask_to_signal(struct monitor *m, const struct ct_ask_signal *ask, int final);
int ask_to_resize(struct monitor *m, const struct ct_ask_resize *ask);
int ask_to_reload(struct monitor *m);
void ask_to_give_up(struct monitor *m);

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
/* Lines of the orders, by one write; what cannot be written is lost. */
void write_events(uint32_t lines, int exit_code);
/* RFC 3339 in UTC with nanoseconds as Go prints them, without trailing zeros. */
void format_time(char *to, uint64_t ns);
uint64_t wall_ns(void);
/* JSON text, without quotes, as Docker's json-file driver escapes it; needs 6 bytes for one. */
char *json_escape(char *to, const char *bytes, uint32_t length);

#endif
