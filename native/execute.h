/* execute.h: one plan being carried out. */
#ifndef CT_EXECUTE_H
#define CT_EXECUTE_H
#include "abi.h"
#include "syscalls.h"

#define CT_STEPS_MAX 1024

/* How the request of a page ended. Whoever of spawner and supervisor sets its bit first, by compare-and-swap, decides. */
#define CT_PROGRESS_REPORTED (1ull << 62)      /* the report is sent, or about to be; the supervisor clears the page with it */
#define CT_PROGRESS_LOST (1ull << 63)          /* given up by the supervisor, which kills the spawner: no report any more */
#define CT_PROGRESS_ID (CT_PROGRESS_REPORTED - 1)

/* Processes beside a container: beside.c. */
enum beside { CT_FORWARDER, CT_RESOLVER, CT_BESIDE };

/* Where a spawner is: shared memory, so that the supervisor can see which step hangs and the child can report why it
 * failed. One page and a half per spawner; written by one process at a time. */
struct progress {
        uint64_t id;                   /* the request in work, 0 = none; with one of CT_PROGRESS_* once it is decided */
        uint64_t received_ns;
        uint64_t aborted;              /* set by the supervisor: the request to give up before the clone */
        uint32_t step;
        int32_t error;                 /* errno of the step that failed, 0 = none */
        int32_t pid;                   /* the child, from the moment it exists */
        int32_t helper;                /* of a plan that joins a container: what joins it. Its process group has its number */
        int32_t beside[CT_BESIDE];     /* processes that serve the container, children of whoever watches over it; 0 = none */
        int32_t spare;                 /* a forwarder that waits for its first ports: forward.c */
        uint32_t trace[CT_STEPS_MAX];  /* nanoseconds since received_ns at which each step ended */
};

struct run {
        const struct ct_plan *plan;
        const struct ct_step *steps;
        const char *strings;
        uint32_t strings_size;
        uint32_t count;
        int plan_fd;
        int tracing;
        int slots[CT_SLOTS];
        int pidfd;
        int mask_directory;            /* the first empty tmpfs that hid a directory: the next ones are clones of it */
        char **vector;                 /* argv, NULL, envp, NULL; built before the clone */
        uint64_t vector_size;
        int gate[2];                   /* forked children wait here until their maps are written */
        int done;                      /* a forked child's end of a pipe that ends with exec or death: it tells of a hold, then of a failure */
        int held;
        int again;                     /* in a teardown: the plan will be started again */
        int spawner;                   /* in the process that joins a container: the socket to whoever started it, else -1 */
        uint64_t wait_until;           /* no step of the teardown waits longer: CLOCK_MONOTONIC, nanoseconds */
        struct progress *progress;
        char path[4096];
};

/* Maps and checks a plan; 0 or -errno. */
int run_open(struct run *run, int plan_fd, struct progress *progress);
void run_close(struct run *run);

/* forward.c */
int bind_port(struct run *run, const struct ct_step *step);
int start_forwarder(struct run *run, const struct ct_step *step);
/* Whether ports have been forwarded, and no forwarder waits for the next: then to be forked ahead of need, between two starts. */
int wants_forwarder(void);
void prepare_forwarder(struct progress *progress);
/* resolver.c */
int start_resolver(struct run *run, const struct ct_step *step);

/* Whether the supervisor gave up the start that the page is of. */
int is_aborted(const struct progress *progress);
/* Carries out the steps of one phase; 0 or -errno with progress->step at the step that failed. */
int run_phase(struct run *run, enum ct_phase phase);
/* As run_phase, but goes on after failures: *step is the first that failed. */
int run_teardown(struct run *run, uint32_t *step);
int run_step(struct run *run, const struct ct_step *step);
int run_prepare_exec(struct run *run);

long send_message(int socket, const void *bytes, size_t length, const int *fds, int count, int flags);
/* recvmsg(2) of one message; at most CT_PASSED_MAX descriptors, *count is how many came. */
long receive_message(int socket, void *bytes, size_t length, int *fds, int *count, int flags);

uint32_t phase_start(const struct run *run, enum ct_phase phase);

static inline const char *step_s1(const struct run *run, const struct ct_step *step)
{
        return run->strings + step->s1;
}

static inline const char *step_s2(const struct run *run, const struct ct_step *step)
{
        return run->strings + step->s2;
}

/* The descriptor in a slot, AT_FDCWD for -1, or -EBADF. */
int slot_fd(const struct run *run, int64_t slot);
int slot_set(struct run *run, int64_t slot, int fd);

/* A family per file; each returns 0 or -errno. */
int step_file(struct run *run, const struct ct_step *step);
int step_mount(struct run *run, const struct ct_step *step);
int step_identity(struct run *run, const struct ct_step *step);
int step_process(struct run *run, const struct ct_step *step);
int step_join(struct run *run, const struct ct_step *step);

/* Opens path inside root for a mount or a working directory, making what is missing; a descriptor or -errno. */
int open_in_root(struct run *run, int root, const char *path, uint32_t flags, uint32_t mode);

#endif
