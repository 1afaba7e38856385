/* floor.c: what the kernel alone takes for a start. Carries out one compiled plan again and again with the launcher's own
 * preparation and executor, but without Node, messages or other processes: what benchmarks/ compare Coracle with.
 *
 *     floor PLAN ID [REST]     PLAN: a file that benchmarks/write-plan.ts wrote; ID: the container's id in it, 64 digits
 *
 * With REST, PLAN ends in a child that waits for it: all that comes before is done before the request.
 *
 * Each byte on standard input asks for one whole life with an id of its own; each answer is one line of nanoseconds:
 * "START EXIT LIFE CODE": from the beginning to exec, to the reaped exit, to the end of the teardown, and the exit code; or
 * "failed STEP ERRNO". The last sixteen digits of the id change, so a plan's first twelve may be a host name. */
int launcher_main(int argc, char **argv, char **envp);
#define main launcher_main
#include "launcher.c"
#undef main
#include <linux/wait.h>

#define ID_LENGTH 64
#define ID_DIGITS 16
#define PLACES_MAX 128
#define STACK_SIZE (128 * 1024)
#define POLLIN_ 1

int main(int argc, char **argv, char **envp);

struct floor {
        int plan, rest, proc, empty_namespace, life[2];
        int gate[2], done[2];          /* of what waits */
        char *places[PLACES_MAX];      /* where the id's last digits stand in the plan */
        int place_count;
};

struct life {
        uint64_t start, exit, whole;
        int code;
        uint32_t step;
};

static char child_stack[STACK_SIZE] __attribute__((aligned(64)));
static struct run run, child_run;
static struct progress progress;

/* As the spawner's, for a plan without a user namespace: runs until exec and shares our memory, unless it is to wait. */
static int become_container(void *argument)
{
        int r = run_phase(argument, PHASE_CHILD);
        progress.error = r < 0 ? -r : ENOEXEC;
        return 127;
}

static int clone_child(const struct ct_step *step)
{
        struct clone_args args = {
                .flags = step->x | CLONE_PIDFD | CLONE_CLEAR_SIGHAND,
                .pidfd = (uint64_t)(uintptr_t)&run.pidfd,
        };
        if (!(step->y & CT_CLONE_FORK)) {
                args.flags |= CLONE_VM | CLONE_VFORK;
                args.stack = (uint64_t)(uintptr_t)child_stack;
                args.stack_size = STACK_SIZE;
        }
        if (step->at >= 0) {
                args.flags |= CLONE_INTO_CGROUP;
                args.cgroup = (uint64_t)slot_fd(&run, step->at);
        }
        progress.error = ECHILD;
        child_run = run;
        long r = ct_clone3(&args, sizeof args, become_container, &child_run);
        if (r < 0)
                run.pidfd = -1;
        if (r >= 0 && (step->y & CT_CLONE_FORK))
                return 0;
        return r < 0 ? (int)r : -progress.error;
}

/* The child has its own copy of this memory: it says through the pipe that it waits, that it goes on, and by its end that it was
 * executed. */
static int wait_for(int pipe, char said)
{
        char byte = 0;
        long n = sys3(__NR_read, pipe, &byte, 1);
        return said == 0 ? (n == 0 ? 0 : -ECANCELED) : (n == 1 && byte == said ? 0 : -ECANCELED);
}

static int start(void)
{
        uint32_t clone = run.plan->end[PHASE_HOST];
        if (clone == 0 || run.steps[clone - 1].op != CT_OP_CLONE)
                return -EINVAL;
        int r = run_prepare_exec(&run);
        if (r == 0)
                r = run_phase(&run, PHASE_HOST);
        if (r == 0)
                r = clone_child(&run.steps[clone - 1]);
        return r;
}

/* CLD_EXITED's status; 128 and the signal otherwise. */
static int wait_for_exit(void)
{
        struct { int32_t signal, error, code, pad, pid; uint32_t uid; int32_t status, rest[25]; } info = {0};
        struct { int fd; int16_t events, revents; } poll = {run.pidfd, POLLIN_, 0};
        sys5(__NR_ppoll, &poll, 1, 0, 0, 8);
        long r = sys5(__NR_waitid, P_PIDFD, run.pidfd, &info, WEXITED | __WALL, 0);
        return r < 0 ? (int)r : info.code == 1 ? info.status : 128 + info.status;
}

/* The supervisor reads these between the death and its report. */
static void read_exit_files(void)
{
        static char bytes[4096];
        for (uint32_t i = phase_start(&run, PHASE_EXIT); i < run.plan->end[PHASE_EXIT]; i++) {
                long fd = sys4(__NR_openat, AT_FDCWD, step_s1(&run, &run.steps[i]), O_RDONLY | O_CLOEXEC, 0);
                if (fd < 0)
                        continue;
                sys3(__NR_read, fd, bytes, sizeof bytes);
                close_fd((int)fd);
        }
}

/* Opens the plan for one life. */
static int open_life(const struct floor *floor)
{
        int r = run_open(&run, floor->plan, &progress);
        if (r < 0)
                return r;
        run.slots[CT_SLOT_EMPTY_NS] = floor->empty_namespace;
        run.slots[CT_SLOT_PROC] = floor->proc;
        run.slots[CT_SLOT_LIFE] = floor->life[0];
        return 0;
}

/* All but the program, which a child waits for at gate[1]. */
static int make_ready(struct floor *floor)
{
        int r = open_life(floor);
        if (r < 0)
                return r;
        if (sys4(__NR_socketpair, AF_UNIX_, SOCK_SEQPACKET_CLOEXEC, 0, floor->gate) < 0 || sys2(__NR_pipe2, floor->done, O_CLOEXEC) < 0)
                return -EMFILE;
        run.slots[CT_SLOT_PASSED] = floor->gate[1];
        run.done = floor->done[1];
        r = start();
        close_fd(floor->done[1]);
        return r < 0 ? r : wait_for(floor->done[0], 'h');
}

static int go_on(struct floor *floor)
{
        struct ct_request request = {.version = CT_ABI, .type = CT_START, .id = 1};
        int passed[4] = {floor->rest, 0, 1, 2};
        int r = (int)send_message(floor->gate[0], &request, sizeof request, passed, 4, 0);
        if (r >= 0)
                r = wait_for(floor->done[0], 'g');
        return r < 0 ? r : wait_for(floor->done[0], 0);
}

static int start_now(struct floor *floor)
{
        int r = open_life(floor);
        for (int i = 0; r == 0 && i < 3; i++)
                run.slots[CT_SLOT_PASSED + i] = (int)sys3(__NR_fcntl, i, F_DUPFD_CLOEXEC, 3);
        return r < 0 ? r : start();
}

static void end_waiting(struct floor *floor)
{
        if (floor->rest < 0)
                return;
        close_fd(floor->gate[0]);
        close_fd(floor->done[0]);
}

static int live(struct floor *floor, struct life *life)
{
        uint64_t begin = now_ns();
        int r = floor->rest >= 0 ? go_on(floor) : start_now(floor);
        life->start = now_ns() - begin;
        life->step = progress.step;
        if (run.pidfd >= 0)
                life->code = wait_for_exit();
        read_exit_files();
        life->exit = now_ns() - begin;
        uint32_t step = 0;
        int removed = run_teardown(&run, &step);
        if (r == 0 && removed < 0) {
                r = removed;
                life->step = step;
        }
        life->whole = now_ns() - begin;
        end_waiting(floor);
        run_close(&run);
        return r;
}

/* Nobody asks for what waits. */
static int leave(struct floor *floor)
{
        uint32_t step;
        if (floor->rest < 0)
                return 0;
        end_waiting(floor);
        /* It has a copy of the gate's other end, so it is not told by that. */
        sys4(__NR_pidfd_send_signal, run.pidfd, SIGKILL_, 0, 0);
        wait_for_exit();
        run_teardown(&run, &step);
        return 0;
}

static void write_id(const struct floor *floor, uint64_t number)
{
        for (int i = 0; i < floor->place_count; i++)
                for (int k = 0; k < ID_DIGITS; k++)
                        floor->places[i][k] = "0123456789abcdef"[number >> (60 - 4 * k) & 15];
}

/* A copy of a file in memory, or -errno. */
static int copy_of(const char *path, struct statx *st)
{
        long file = sys4(__NR_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
        long r = file < 0 ? file : sys5(__NR_statx, file, "", AT_EMPTY_PATH, STATX_SIZE, st);
        if (r < 0)
                return (int)r;
        int copy = (int)sys2(__NR_memfd_create, "floor", 1 /* MFD_CLOEXEC */);
        for (uint64_t left = st->stx_size; copy >= 0 && left > 0; left -= (uint64_t)r) {
                r = sys4(__NR_sendfile, copy, file, 0, left);
                if (r <= 0)
                        return r < 0 ? (int)r : -EIO;
        }
        close_fd((int)file);
        return copy;
}

/* A copy of the plan in memory whose ids can be changed between rounds. */
static int load_plan(struct floor *floor, const char *path, const char *id)
{
        struct statx st;
        floor->plan = copy_of(path, &st);
        if (floor->plan < 0)
                return floor->plan;
        long map = sys6(__NR_mmap, 0, (long)st.stx_size, 3 /* read, write */, 1 /* MAP_SHARED */, floor->plan, 0);
        if (map < 0 && map > -4096)
                return (int)map;
        char *bytes = (char *)map;
        for (uint64_t at = 0; at + ID_LENGTH <= st.stx_size; at++) {
                int same = 0;
                while (same < ID_LENGTH && bytes[at + (uint64_t)same] == id[same])
                        same++;
                if (same < ID_LENGTH)
                        continue;
                if (floor->place_count == PLACES_MAX)
                        return -E2BIG;
                floor->places[floor->place_count++] = bytes + at + ID_LENGTH - ID_DIGITS;
        }
        return floor->place_count > 0 ? 0 : -EINVAL;
}

static int prepare(struct floor *floor)
{
        shed_inheritance();
        occupy_stdio();
        floor->proc = mount_fs("proc", 0, 0, CT_MOUNT_ATTR_NOSUID | CT_MOUNT_ATTR_NODEV | CT_MOUNT_ATTR_NOEXEC);
        if (floor->proc < 0)
                return floor->proc;
        floor->empty_namespace = empty_namespace(floor->proc);
        if (floor->empty_namespace < 0)
                return floor->empty_namespace;
        return (int)sys2(__NR_pipe2, floor->life, O_CLOEXEC);
}

int main(int argc, char **argv, char **envp)
{
        static struct floor floor;
        (void)envp;
        int requests = (int)sys3(__NR_fcntl, 0, F_DUPFD_CLOEXEC, 8), answers = (int)sys3(__NR_fcntl, 1, F_DUPFD_CLOEXEC, 8);
        struct statx st;
        if (argc < 3 || argc > 4 || text_length(argv[2]) != ID_LENGTH)
                return 100;
        floor.rest = argc == 4 ? copy_of(argv[3], &st) : -1;
        if (argc == 4 && floor.rest < 0)
                return 111;
        if (load_plan(&floor, argv[1], argv[2]) < 0 || prepare(&floor) < 0)
                return 111;
        for (;;) {
                struct life life = {0};
                char request, line[128], *end;
                write_id(&floor, now_ns());
                int r = floor.rest >= 0 ? make_ready(&floor) : 0;
                life.step = progress.step;
                if (sys3(__NR_read, requests, &request, 1) != 1)
                        return leave(&floor);
                if (r == 0)
                        r = live(&floor, &life);
                if (r < 0) {
                        end = text_number(text_append(line, "failed "), life.step);
                        end = text_number(text_append(end, " "), (uint64_t)-r);
                } else {
                        end = text_number(line, life.start);
                        end = text_number(text_append(end, " "), life.exit);
                        end = text_number(text_append(end, " "), life.whole);
                        end = text_number(text_append(end, " "), (uint64_t)life.code);
                }
                end = text_append(end, "\n");
                sys3(__NR_write, answers, line, end - line);
        }
}
