/* abi.h: what TypeScript and the core say to each other. Mirrored by src/binding/abi.ts and src/binding/steps.ts;
 * change both in one commit. Fixed-width little-endian integers, no pointers, no implicit padding.
 * ct_abi() and the launcher's READY event report CT_ABI; the binding refuses a stranger. */
#ifndef CT_ABI_H
#define CT_ABI_H
#include <stdint.h>

#define CT_ABI 1u
#define CT_PLAN_MAGIC 0x6e706c63u /* "clpn" */

enum ct_op {
#define STEP(number, name, text) CT_OP_##name = number,
#include "steps.def"
#undef STEP
        CT_OPCODES                     /* those of this core are below */
};

enum { CT_F_EXISTS_OK = 1, CT_F_OPTIONAL = 2, CT_F_FILE = 4, CT_F_CLAMP = 8, CT_F_MAKE = 16, CT_F_NO_SYMLINKS = 32, CT_F_LIKE = 64,
       CT_F_IF_CLEAN = 128, /* teardown: not when a step before it failed */
       CT_F_FINAL = 256 /* teardown: not when whoever carries it out is about to start the plan again */ };

/* y of CT_OP_CLONE */
enum { CT_CLONE_FORK = 1 /* do not share memory with the spawner: needed by user namespaces, which write their maps */ };

/* z of CT_OP_TARGET */
enum { CT_TARGET_NOT_IN_PROC = 1 /* nothing of a caller's goes into a procfs: what is written there decides over privileges */,
       CT_TARGET_GIVES_MODE = 2 /* a directory that is there gives its permission bits to the root of the mount in slot x */ };

enum { CT_SLOT_EMPTY_NS = 0, CT_SLOT_PROC = 1, CT_SLOT_LIFE = 2, CT_SLOT_PASSED = 4, CT_SLOTS = 1024, CT_PASSED_MAX = 16 };

/* A plan: this header, the steps in the order of the phases, then the string area. Offsets count from its start. */
enum ct_phase { PHASE_HOST, PHASE_PARENT, PHASE_CHILD, PHASE_STARTED, PHASE_EXIT, PHASE_TEARDOWN, CT_PHASES };

struct ct_plan {
        uint32_t magic, version;
        uint32_t size;                 /* bytes, header included */
        uint32_t strings;              /* offset of the string area; offset 0 within it is the empty string */
        uint32_t end[CT_PHASES];       /* index of the first step after each phase */
        uint32_t orders, orders_size;  /* struct ct_orders in the string area, for a monitor; size 0 = none */
        uint32_t reserved[4];
};

struct ct_step {
        uint16_t op, flags;
        int32_t at, out;
        uint32_t s1, n1, s2, n2;       /* offsets into the string area, lengths without the NUL that follows */
        uint32_t z;
        uint64_t x, y;
};

/* What a monitor is told beside the steps: policy as data. Strings follow the struct, each with a NUL; their offsets count from
 * its start. Stored in plan.bin: append-only, a missing field is 0. */
#define CT_ORDERS 1u

enum { CT_ORDER_STDIN = 1 /* a pipe that stays open, else the null device */, CT_ORDER_TERMINAL = 2 };
enum { CT_LOG_NONE = 0, CT_LOG_JSON = 1 /* Docker's json-file */, CT_LOG_BINARY = 2 /* struct ct_log_entry */,
       CT_LOG_JOURNAL = 3 /* datagrams to systemd-journald */ };
enum { CT_RESTART_NEVER = 0, CT_RESTART_ON_FAILURE = 1, CT_RESTART_ALWAYS = 2 };

struct ct_orders {
        uint32_t version, size;        /* size: of the whole, strings included */
        uint32_t flags;                /* CT_ORDER_* */
        uint32_t log;                  /* CT_LOG_* */
        uint64_t log_size;             /* a file is put aside before a line when it has so many bytes; 0 = never */
        uint32_t log_files;            /* how many there are at most, the present one included */
        uint32_t log_name;             /* of the file in the container's directory; CT_LOG_JOURNAL: path of the socket */
        uint32_t log_attributes;       /* JSON that follows the stream's name in each line: `,"attrs":{...}`, or ""; CT_LOG_JOURNAL: the
                                        * fields of each datagram that are always the same, with their newlines, log_fields bytes */
        uint32_t restart;              /* CT_RESTART_* */
        uint32_t restart_most;         /* of CT_RESTART_ON_FAILURE; 0 = no bound */
        uint32_t pause_factor;         /* each pause before a restart is so many times the one before, */
        uint64_t pause_first_ns;       /* the first this, */
        uint64_t pause_most_ns;        /* none longer than this, */
        uint64_t pause_reset_ns;       /* and the first again after a run of this length */
        uint64_t start_deadline_ns;    /* a start that takes longer is undone; 0 = never */
        uint64_t deadline_ns;          /* a run that takes longer is killed; 0 = never */
        uint16_t rows, columns;        /* of the terminal, at first */
        uint32_t alive;                /* path of a file that is kept open for writing while the monitor lives, if it is to restart its
                                        * container: whoever waits for monitors to die is told so by its closing (watch.c). "" = none */
        uint32_t journal_most;         /* the journal is put aside when it is longer than so many bytes; 0 = never */
        uint32_t journal_aside;        /* path: where to */
        uint32_t log_fields;           /* of CT_LOG_JOURNAL: they may hold anything */
        uint32_t oom_events;           /* lines for the journal, told at the end of a run in which the kernel killed somebody for memory */
        uint32_t journal;              /* path of the file that events are appended to; "" = none */
        uint32_t started_events;       /* lines for it, told at each start, */
        uint32_t ended_events;         /* at each end, before anybody can see it, */
        uint32_t removed_events;       /* and when the last teardown has removed everything; CT_EVENT_* stand in them */
};

enum {
        CT_EVENT_TIME = 1,             /* seconds, '.', nine digits */
        CT_EVENT_EXIT_CODE = 2,        /* the code, or 128 and the signal */
        CT_EVENT_EXEC_ID = 3,          /* of a probe: 64 hexadecimal digits, new each time */
};

/* The orders of probe.bin, whose plan is that of a health check's command. As struct ct_orders otherwise. */
#define CT_HEALTH 1u

struct ct_health {
        uint32_t version, size;
        uint64_t interval_ns;          /* from the end of a probe to the next */
        uint64_t timeout_ns;           /* a probe that takes longer, counted from its exec, is killed and has failed */
        uint64_t start_period_ns;      /* failures before this do not count, as long as none has succeeded, */
        uint64_t start_interval_ns;    /* and this is the interval */
        uint64_t start_deadline_ns;    /* a probe that takes longer up to its exec has failed */
        uint32_t retries;              /* so many failures one after the other make it unhealthy */
        uint32_t pause_file;           /* path of the file that begins with '1' while the container stands still; "" = it never does */
        uint32_t begun_events;         /* of a probe, before it starts, */
        uint32_t ended_events;         /* and at its end */
        uint32_t healthy_events, unhealthy_events;     /* when it becomes so */
};

/* An entry of a CT_LOG_BINARY file: this, the bytes, and the length of both once more, for readers that begin at the end. */
enum { CT_LOG_PARTIAL = 16 /* in stream: the line goes on in the next entry of the stream */ };

struct ct_log_entry {
        uint32_t length;               /* of this and the bytes */
        uint32_t stream;               /* 1 or 2 */
        uint64_t time_ns;              /* since 1970 */
};

/* Requests: one SEQPACKET message each, this header and at most CT_PASSED_MAX descriptors. The first descriptor of
 * START and TEARDOWN is the plan's sealed memfd, the others become slots from CT_SLOT_PASSED on. */
enum ct_request_type {
        CT_START = 1,                  /* to a spawner */
        CT_SIGNAL = 2,                 /* the rest to the supervisor: signal a running container */
        CT_ABORT = 3,                  /* give up a start that has not been answered */
        CT_TEARDOWN = 4,               /* carry out the teardown phase of the plan that comes along */
        CT_GROW = 5,                   /* all spawners seem busy: start one more */
        CT_DEADLINE = 6,               /* of a start that holds: deadline_ns, known only now */
        CT_MONITOR = 7,                /* fork a monitor: plan of its host phase, the container's directory, a socket (control.h) */
};
enum {
        CT_TRACE = 1,                  /* START: report when each step ended */
        CT_DETACHED = 2,               /* START: it goes on when the launcher ends */
};

struct ct_request {
        uint32_t version, type;
        uint64_t id;                   /* the caller's; never 0, never used twice */
        uint32_t flags;
        int32_t signal;                /* SIGNAL */
        uint64_t deadline_ns;          /* START: kill this long after exec; 0 = never */
        uint64_t sent_ns;              /* CLOCK_MONOTONIC of the caller, echoed in STARTED */
        uint64_t reserved[3];
};

/* Events: records on a STREAM socket, each headed by its own length (header included). */
enum ct_event_type { CT_READY = 1, CT_STARTED = 2, CT_FAILED = 3, CT_EXITED = 4, CT_REMOVED = 5, CT_PREPARED = 6 /* a bare event: the child holds */ };

struct ct_event {
        uint32_t length, type;
        uint64_t id;
};

struct ct_ready {
        struct ct_event event;
        uint32_t abi, pid;
        int32_t empty_namespace;       /* 0, or -errno: why this host gave no empty mount namespace */
        int32_t private_proc;          /* 0, or -errno */
};

struct ct_started {
        struct ct_event event;
        int32_t pid;
        uint32_t steps;                /* how many times follow: nanoseconds since received_ns per step, 0 = not run */
        uint64_t sent_ns, received_ns, executed_ns;
};

struct ct_failed {
        struct ct_event event;
        uint32_t step;                 /* index into the plan */
        int32_t error;                 /* errno, positive */
        uint32_t lost;                 /* 1: the spawner was killed; the caller must send the teardown itself */
        uint32_t reserved;
};

/* Followed by reports: uint32_t key, uint32_t length, bytes padded to 8. */
struct ct_exited {
        struct ct_event event;
        int32_t code, status;          /* si_code (CLD_EXITED, CLD_KILLED, CLD_DUMPED) and si_status of waitid(2) */
        uint32_t deadline;             /* 1: our deadline killed it */
        uint32_t reports;              /* bytes that follow */
        uint64_t executed_ns, exited_ns;
        uint64_t user_us, system_us, peak_rss_kb;
};

struct ct_removed {
        struct ct_event event;
        uint32_t step;                 /* the first teardown step that failed, when error is not 0 */
        int32_t error;
};

#endif
