/* supervisor.h: the parts of the supervisor. One process, one thread; none of it blocks. */
#ifndef CT_SUPERVISOR_H
#define CT_SUPERVISOR_H
#include "launcher.h"
#include <linux/eventpoll.h>

#define REPORTS_SIZE 16384             /* bytes of a container's exit reports */
#define EVENT_MAX (sizeof(struct ct_exited) + REPORTS_SIZE + CT_STEPS_MAX * 4)

/* siginfo_t as the kernel lays it out on 64-bit machines */
struct exit_info {
        int32_t signal, error, code, pad, pid;
        uint32_t uid;
        int32_t status;
        int32_t rest[25];
};

/* supervisor.c */
extern int closing;                    /* Node is gone: what is reported from now on is killed */

/* events.c: epoll, and the records for Node */
enum watch { WATCH_CONTROL = 1, WATCH_REPORTS, WATCH_REMOVALS, WATCH_EVENTS, WATCH_CONTAINER, WATCH_HELD, WATCH_SPAWNER, WATCH_MONITOR };
extern int epoll;
void watch(int fd, enum watch what, uint32_t index, uint32_t events);
void close_watched(int fd);
void emit_event(struct launcher *launcher, struct ct_event *event);
int has_room(void);
int has_backlog(void);
void flush_events(struct launcher *launcher);
void forget_events(struct launcher *launcher);

/* containers.c: from a spawner's report to the end of the removal */
extern uint64_t next_deadline;         /* CLOCK_MONOTONIC, 0 = none */
void take_reports(struct launcher *launcher);
int take_report(struct launcher *launcher);
void take_removal(struct launcher *launcher);
void start_failed(struct launcher *launcher, uint64_t id, uint32_t step, int error, int lost);
void reap_later(uint64_t id, int pidfd);
void tear_down(struct launcher *launcher, uint64_t id, int plan);
int signal_container(uint64_t id, int signal);
void kill_containers(void);
void force_containers(struct launcher *launcher);
void give_deadline(uint64_t id, uint64_t deadline_ns);
void check_deadlines(uint64_t now);
void container_exited(struct launcher *launcher, uint32_t index);
void container_spoke(struct launcher *launcher, uint32_t index);
int containers_left(void);

/* watch-spawners.c: spawners, and the starts that they are at */
void first_spawners(struct launcher *launcher);
void add_spawner(struct launcher *launcher);
void spawner_died(struct launcher *launcher, int i);
void abort_start(struct launcher *launcher, uint64_t id);
void check_aborts(struct launcher *launcher, uint64_t now);
uint64_t next_abort(void);
void abort_starts(struct launcher *launcher, int all);
void start_reported(struct launcher *launcher, uint64_t id);
int spawner_is_busy(const struct launcher *launcher);
void reap_helper(int32_t helper);
int reap_helpers(void);
void end_spawners(const struct launcher *launcher);

#endif
