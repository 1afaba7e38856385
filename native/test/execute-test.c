/* execute-test.c: the plan executor under the address and undefined-behaviour sanitizers: `make -C native sanitize`, then
 * `native/build/sanitize/execute-test DIRECTORY`. Prints a line for each fact that held; ends with 1 at the first that does not. */
#include "../execute.h"

/* libc's headers and the kernel's, which the core uses, cannot be included together. */
int printf(const char *format, ...);
_Noreturn void exit(int code);
_Noreturn void abort(void);
void *memset(void *to, int byte, size_t size);
void *memcpy(void *restrict to, const void *restrict from, size_t size);
char *strcpy(char *restrict to, const char *restrict from);
size_t strlen(const char *text);
int main(int argc, char **argv);

static struct {
        struct ct_plan head;
        struct ct_step steps[64];
        char strings[8192];
} made;
static uint32_t steps, strings;
static unsigned char bytes[sizeof made];
static struct progress progress;

static void check(int holds, const char *fact)
{
        printf("%s %s\n", holds ? "ok" : "not ok", fact);
        if (!holds)
                exit(1);
}

static uint32_t text(const char *s)
{
        uint32_t at = strings;
        strcpy(made.strings + at, s);
        strings += (uint32_t)strlen(s) + 1;
        return at;
}

static void begin(void)
{
        memset(&made, 0, sizeof made);
        steps = 0;
        strings = 1;
}

static struct ct_step *step(enum ct_op op, int at, const char *s1, const char *s2)
{
        struct ct_step *s = &made.steps[steps++];
        *s = (struct ct_step){.op = (uint16_t)op, .at = at, .out = -1};
        s->s1 = s1 ? text(s1) : 0, s->n1 = s1 ? (uint32_t)strlen(s1) : 0;
        s->s2 = s2 ? text(s2) : 0, s->n2 = s2 ? (uint32_t)strlen(s2) : 0;
        return s;
}

static int make_directory(const char *path, uint32_t mode)
{
        return (int)sys3(__NR_mkdirat, AT_FDCWD, path, mode);
}

static int exists(const char *path)
{
        uint32_t mode;
        return statx_mode(AT_FDCWD, path, &mode, 0, 0) == 0;
}

/* The plan as bytes; every step is in the host phase. */
static uint32_t finish(void)
{
        uint32_t size = (uint32_t)(sizeof made.head + steps * sizeof made.steps[0] + strings);
        made.head = (struct ct_plan){.magic = CT_PLAN_MAGIC, .version = CT_ABI, .size = size,
                                     .strings = (uint32_t)(sizeof made.head + steps * sizeof made.steps[0])};
        for (int phase = 0; phase < CT_PHASES; phase++)
                made.head.end[phase] = steps;
        memcpy(bytes, &made.head, sizeof made.head);
        memcpy(bytes + sizeof made.head, made.steps, steps * sizeof made.steps[0]);
        memcpy(bytes + made.head.strings, made.strings, strings);
        return size;
}

static int plan_file(const void *from, uint32_t size)
{
        int fd = (int)sys2(__NR_memfd_create, "plan", 1 /* MFD_CLOEXEC */);
        if (fd < 0 || sys3(__NR_write, fd, from, size) != (long)size)
                abort();
        return fd;
}

static int try_open(uint32_t size)
{
        static struct run run;
        int fd = plan_file(bytes, size), r = run_open(&run, fd, &progress);
        if (r == 0)
                run_close(&run);
        close_fd(fd);
        return r;
}

static int carry_out(void)
{
        static struct run run;
        int fd = plan_file(bytes, finish());
        int r = run_open(&run, fd, &progress);
        if (r == 0) {
                r = run_phase(&run, PHASE_HOST);
                run_close(&run);
        }
        close_fd(fd);
        return r;
}

static void a_plan_makes_and_removes_files(void)
{
        struct statx st = {0};
        begin();
        step(CT_OP_MKDIR, -1, "made", 0)->x = 0700;
        step(CT_OP_OPEN, -1, "made", 0)->out = 20;
        made.steps[1].x = O_PATH | O_DIRECTORY;
        step(CT_OP_CREATE, 20, "file", "contents")->x = 0640;
        step(CT_OP_SYMLINK, 20, "link", "file");
        step(CT_OP_WRITE, 20, "file", "CONTENTS");
        step(CT_OP_CHMOD, 20, "file", 0)->x = 0600;
        check(carry_out() == 0, "a plan makes directories, files and links");
        sys5(__NR_statx, AT_FDCWD, "made/link", 0, STATX_BASIC_STATS, &st);
        check(st.stx_size == 8 && (st.stx_mode & 07777) == 0600, "a file has its contents and mode");
        begin();
        step(CT_OP_REMOVE_TREE, -1, "made", 0);
        step(CT_OP_REMOVE_TREE, -1, "made", 0);
        check(carry_out() == 0 && !exists("made"), "removing a tree twice is fine");
}

static void a_failure_names_its_step(void)
{
        begin();
        step(CT_OP_MKDIR, -1, "a", 0)->x = 0700;
        step(CT_OP_MKDIR, -1, "a", 0)->x = 0700;
        check(carry_out() == -EEXIST && progress.step == 1, "a failure is the errno of its step");
        begin();
        step(CT_OP_MKDIR, -1, "a", 0)->flags = CT_F_OPTIONAL;
        step(CT_OP_REMOVE_TREE, -1, "a", 0);
        check(carry_out() == 0, "a step that is optional may fail");
        begin();
        step(CT_OP_WRITE, 900, "x", "y");
        check(carry_out() == -EBADF, "an empty slot is refused");
        begin();
        step(CT_OP_OPEN, -1, ".", 0)->out = 5000;
        check(carry_out() == -EINVAL, "a slot beyond the last is refused");
}

static void an_abort_is_meant_for_one_start(void)
{
        begin();
        step(CT_OP_MKDIR, -1, "aborted", 0)->x = 0700;
        progress.id = 7, progress.aborted = 6;
        check(carry_out() == 0, "a start goes on when the one before it is aborted too late");
        progress.aborted = 7;
        check(carry_out() == -ECANCELED && progress.step == 0, "a start that is aborted stops before its next step");
        progress.id = progress.aborted = 0;
        begin();
        step(CT_OP_REMOVE_TREE, -1, "aborted", 0);
        check(carry_out() == 0, "without a number, nothing is aborted");
}

static void targets_stay_inside_their_root(void)
{
        make_directory("root", 0700);
        sys3(__NR_symlinkat, "/outside", AT_FDCWD, "root/absolute");
        sys3(__NR_symlinkat, "../../outside", AT_FDCWD, "root/relative");
        sys3(__NR_symlinkat, "loop", AT_FDCWD, "root/loop");
        make_directory("outside", 0700);
        begin();
        step(CT_OP_OPEN, -1, "root", 0)->out = 20;
        made.steps[0].x = O_PATH;
        step(CT_OP_TARGET, 20, "absolute/a/b", 0)->out = 21;
        check(carry_out() == 0 && exists("root/outside/a/b") && !exists("outside/a"), "a dangling absolute link leads to a place inside");
        check(carry_out() == 0 && !exists("outside/a"), "and so does it when the place is there");
        begin();
        step(CT_OP_OPEN, -1, "root", 0)->out = 20;
        made.steps[0].x = O_PATH;
        step(CT_OP_TARGET, 20, "relative/c", 0)->out = 21;
        check(carry_out() == 0 && exists("root/outside/c") && !exists("outside/c"), "dots do not lead out");
        begin();
        step(CT_OP_OPEN, -1, "root", 0)->out = 20;
        made.steps[0].x = O_PATH;
        step(CT_OP_TARGET, 20, "loop/x", 0)->out = 21;
        check(carry_out() == -ELOOP, "a loop of links is refused");
}

static void deep_trees_are_removed(void)
{
        int home = (int)sys4(__NR_openat, AT_FDCWD, ".", O_PATH | O_DIRECTORY, 0);
        make_directory("deep", 0700);
        sys1(__NR_chdir, "deep");
        for (int i = 0; i < 3000; i++)
                if (make_directory("d", i % 7 ? 0700 : 0500) < 0 || sys1(__NR_chdir, "d") < 0)
                        abort();
        sys1(__NR_fchdir, home);
        close_fd(home);
        begin();
        step(CT_OP_REMOVE_TREE, -1, "deep", 0);
        check(carry_out() == 0 && !exists("deep"), "a tree of 3000 levels is removed with few descriptors and little stack");
}

/* Whatever bytes arrive, opening a plan refuses them or leaves a plan whose offsets are inside it. */
static void foreign_bytes_are_refused(void)
{
        begin();
        for (int i = 0; i < 10; i++)
                step(CT_OP_MKDIR, -1, "somewhere", "something")->x = 0700;
        uint32_t size = finish();
        int refused = 1;
        for (uint32_t cut = 0; cut < size; cut++)
                refused &= try_open(cut) < 0;
        check(refused, "a plan cut short anywhere is refused");
        check(try_open(size) == 0, "the whole plan is taken");
        unsigned seed = 1;
        for (int round = 0; round < 20000; round++) {
                size = finish();
                for (int flips = 0; flips < 4; flips++) {
                        seed = seed * 1103515245u + 12345u;
                        uint32_t at = (seed >> 8) % size;
                        seed = seed * 1103515245u + 12345u;
                        bytes[at] = (unsigned char)(seed >> 16);
                }
                try_open(size);
        }
        check(1, "20000 plans with flipped bytes are opened or refused, and nothing outside them is read");
}

int main(int argc, char **argv)
{
        if (argc != 2 || sys1(__NR_chdir, argv[1]) < 0)
                return 100;
        sys1(__NR_umask, 0);
        a_plan_makes_and_removes_files();
        a_failure_names_its_step();
        an_abort_is_meant_for_one_start();
        targets_stay_inside_their_root();
        deep_trees_are_removed();
        foreign_bytes_are_refused();
        return 0;
}
