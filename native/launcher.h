/* launcher.h: what the processes of the launcher share. See README.md for who runs what. */
#ifndef CT_LAUNCHER_H
#define CT_LAUNCHER_H
#include "execute.h"

#define CT_SPAWNERS_MAX 16
#define CT_ABORTED_MAX 64
#define CT_REMOVALS_MAX 64             /* sent to the janitor and not yet answered */
#define MSG_DONTWAIT_ 0x40
#define MSG_NOSIGNAL_ 0x4000

/* Shared memory of supervisor and spawners. */
struct shared {
        struct progress progress[CT_SPAWNERS_MAX];
        uint64_t aborted[CT_ABORTED_MAX];      /* starts given up while still queued; 0 = free */
};

struct launcher {
        int requests;          /* SEQPACKET from Node, read by the spawners */
        int control;           /* SEQPACKET from Node, read by the supervisor */
        int events;            /* STREAM to Node */
        int reports[2];        /* SEQPACKET: spawners write [1], the supervisor reads [0] */
        int removals[2];       /* SEQPACKET: supervisor [0], janitor [1] */
        int life[2];           /* pipe: only the supervisor holds the writing end [1] */
        int empty_namespace;   /* or -errno */
        int proc;              /* private procfs, or /proc where that is refused */
        int private_proc;      /* 0 or -errno */
        int program;           /* our own sealed image, to be executed again; or -errno */
        int janitor;           /* its process id */
        int self;              /* whose end is everybody's: the supervisor, in a monitor and its helpers the monitor */
        struct shared *shared;
};

/* How a held child failed after all: the record in its pipe. */
struct late_failure {
        uint32_t tag;                  /* 1: its first byte is never the "g" of a child that goes on */
        uint32_t step;
        int32_t error;
};

/* A spawner tells the supervisor how a start went. Descriptors: the plan; when pid is not 0, the pidfd; when held, the pipe that
 * tells how it goes on: end of file is exec. */
struct report {
        uint64_t id, deadline_ns, sent_ns, received_ns, executed_ns;
        int32_t pid, error;
        uint32_t step, steps;
        uint32_t held, flags;          /* flags: of the request */
        int32_t helper;                /* the process that joined a container: dead by now, and to be reaped; 0 = none */
        int32_t beside[CT_BESIDE];     /* they serve the container as long as it runs; 0 = none */
        uint32_t trace[CT_STEPS_MAX];
};

struct removal {
        uint64_t id;
        uint32_t index, step;
        int32_t error;
        uint32_t reserved;
};

_Noreturn void spawner_main(struct launcher *launcher, int number);
_Noreturn void janitor_main(struct launcher *launcher);
/* fds: the plan whose host phase it settles by, the container's directory, the first client; then what each start is handed beside
 * its streams. */
_Noreturn void monitor_main(struct launcher *launcher, const int *fds, int count);
int supervisor_main(struct launcher *launcher);
/* Forks the janitor with a new socket to it; its pid or -errno. */
int start_janitor(struct launcher *launcher);
/* Forks a spawner for a free progress page; its pid or -errno. */
int start_spawner(struct launcher *launcher, int number);

/* From the process that joins a container, or the one that it forked in there, to the spawner. */
struct entered {
        int32_t pid;                   /* whom it forked, with a pidfd */
        uint32_t step;                 /* else, the step that failed, */
        int32_t error;                 /* and its errno; 0 = none failed */
};

/* Starts the process that joins a running container, by the step at the end of the host phase, and waits until it has become a
 * process in there, or has failed; 0 or -errno. run->pidfd and progress->pid are then that process's. */
int enter_container(struct launcher *launcher, struct run *run, const struct ct_step *step);
/* Takes a process out of a v1 freezer, where even SIGKILL does not reach it, if it came by such a step. */
void release_entered(const struct run *run, int pid);
#define ENTER_NAME "coracle-enter"
/* What it is, with the socket to its spawner as descriptor 3. */
_Noreturn void enter_main(void);
/* spawner.c: carries out an opened plan up to its started phase; 0 or -errno. The child is the caller's sibling. */
int start_container(struct launcher *launcher, struct run *run);
/* Closes every descriptor from 3 on but these. */
void close_all_but(const int *needed, int count);
/* beside.c: ends and reaps the processes that serve a container; each pid is 0 then. */
void end_beside(int32_t pids[CT_BESIDE]);
/* watch-spawners.c: kills a process group of our children and reaps it; 0 when somebody in it has yet to die: it stands in a
 * frozen cgroup. */
int reap_group(int32_t group);
/* containers.c: the exit phase of a plan, small files read before they go. */
uint32_t read_exit_reports(int plan, char *to, uint32_t room);


/* clone3(2) whose child calls function(argument) on its own stack and exits with the result. */
long ct_clone3(struct clone_args *args, size_t size, int (*function)(void *), void *argument);
long fork_process(void);
/* Dies with its parent, also with one that died before this could be asked for. */
void follow(int parent);
void name_process(const char *name);

#endif
