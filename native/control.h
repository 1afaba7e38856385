/* control.h: what a monitor and its clients say to each other, over the STREAM socket `control` in the container's directory, or
 * over the one that came with the request to fork it: the first client. Mirrored by src/binding/control.ts; change both in one
 * commit. Monitors outlive releases: types are append-only, a body may become longer, and both sides pass over types and bytes
 * that they do not know. Fixed-width little-endian integers. */
#ifndef CT_CONTROL_H
#define CT_CONTROL_H
#include <stdint.h>

#define CT_CONTROL_VERSION 1u
#define CT_CONTROL_MAX 65536u          /* bytes of one record, its head included */

/* Each record: this head, then a body by its type. */
struct ct_record {
        uint32_t length;               /* head included */
        uint16_t type, flags;
};

/* From a client. Those marked * are answered, in order, by one CT_SAID_DONE each. */
enum {
        CT_ASK_START = 1,              /* of the first client, once: start the container */
        CT_ASK_SIGNAL = 2,             /* * struct ct_ask_signal; flags: CT_SIGNAL_FINAL */
        CT_ASK_ATTACH = 3,             /* * flags: CT_ATTACH_*; from here on output follows */
        CT_ASK_INPUT = 4,              /* the bytes for stdin; the client is not read on while nobody takes them */
        CT_ASK_END_INPUT = 5,          /* no more input: end of file for the container, unless it has a terminal */
        CT_ASK_RESIZE = 6,             /* * struct ct_ask_resize */
        CT_ASK_RELOAD = 7,             /* * plan.bin was replaced: take its orders, and its teardown for the present run */
        CT_ASK_GIVE_UP = 8,            /* undo a start that is under way */
        CT_ASK_PAUSED = 9,             /* the container was made to stand still: the probe that is under way means nothing */
};

enum { CT_SIGNAL_FINAL = 1 /* no restart after this */ };
enum {
        CT_ATTACH_STDOUT = 1, CT_ATTACH_STDERR = 2,
        CT_ATTACH_HOLD = 4,            /* hold the container back rather than lose output */
        CT_ATTACH_ONLY_INPUT = 8,      /* when this client goes, stdin ends */
};

struct ct_ask_signal {
        int32_t signal;                /* 0: with CT_SIGNAL_FINAL, only that */
        uint32_t by;                   /* the asker's word for why; written into exit.json as it is */
};

struct ct_ask_resize {
        uint16_t rows, columns;
};

/* From the monitor. */
enum {
        CT_SAID_HELLO = 101,           /* first of all: struct ct_said_hello */
        CT_SAID_DONE = 102,            /* struct ct_said_done */
        CT_SAID_STARTED = 103,         /* struct ct_said_started: after exec, also at each restart */
        CT_SAID_FAILED = 104,          /* struct ct_said_failed: a start; ENDED follows */
        CT_SAID_EXITED = 105,          /* struct ct_said_exited: exit.json is there */
        CT_SAID_OUTPUT = 106,          /* flags: 1 stdout, 2 stderr; the bytes */
        CT_SAID_DROPPED = 107,         /* flags as of OUTPUT; struct ct_said_dropped: so much is missing here */
        CT_SAID_ENDED = 108,           /* struct ct_said_ended: all is torn down, there is no monitor any more */
        CT_SAID_HEALTH = 109,          /* health.json has a new result */
};

struct ct_said_hello {
        uint32_t version;
        int32_t pid;                   /* the monitor's */
        uint32_t abi;                  /* CT_ABI of the plans that it takes; a monitor of the first release ends here: 1 */
        uint32_t opcodes;              /* it knows those below this number */
};

struct ct_said_done {
        int32_t error;                 /* errno, positive; 0 = done. ESRCH: nothing runs. EAGAIN, of RELOAD: done, and a start is under way with
                                        * the plan as it was */
};

struct ct_said_started {
        int32_t pid;
        uint32_t restarts;
        uint64_t requested_ns, executed_ns;  /* CLOCK_MONOTONIC */
};

/* Where a start failed beside the steps of its plan: numbers from the top of struct ct_said_failed.step. */
#define CT_AT_PLAN 0xfffffff0u         /* plan.bin cannot be read */
#define CT_AT_LOG 0xfffffff1u          /* the log cannot be opened */
#define CT_AT_STREAMS 0xfffffff2u      /* pipes or processes cannot be made */

struct ct_said_failed {
        uint32_t step;                 /* index into the plan, or CT_AT_* */
        int32_t error;                 /* errno, positive */
};

struct ct_said_exited {
        int32_t code, status;          /* si_code and si_status of waitid(2) */
        uint32_t restarts;             /* 1: a restart is due */
        uint32_t reserved;
};

struct ct_said_dropped {
        uint64_t bytes;
};

struct ct_said_ended {
        uint32_t step;                 /* of the teardown, the first that failed, when error is not 0 */
        int32_t error;
};

#endif
