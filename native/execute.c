/* execute.c: walks a plan. It knows system calls and nothing else: no names to look up, no allocation, no policy. */
#include "execute.h"

#define MAP_PRIVATE_ 2
#define PROT_READ_ 1

uint32_t phase_start(const struct run *run, enum ct_phase phase)
{
        return phase == PHASE_HOST ? 0 : run->plan->end[phase - 1];
}

static int plan_check(const struct run *run, uint64_t size)
{
        const struct ct_plan *plan = run->plan;
        if (size < sizeof *plan || plan->magic != CT_PLAN_MAGIC || plan->size != size)
                return -EINVAL;
        if (plan->version != CT_ABI)
                return -EPROTO;
        uint32_t previous = 0;
        for (int phase = 0; phase < CT_PHASES; phase++) {
                if (plan->end[phase] < previous)
                        return -EINVAL;
                previous = plan->end[phase];
        }
        if (previous > CT_STEPS_MAX)
                return -E2BIG;
        uint64_t strings = sizeof *plan + (uint64_t)previous * sizeof(struct ct_step);
        if (plan->strings != strings || strings >= size)
                return -EINVAL;
        uint64_t area = size - strings;
        const char *text = (const char *)plan + strings;
        if (text[0] != 0 || text[area - 1] != 0)
                return -EINVAL;
        if ((uint64_t)plan->orders + plan->orders_size >= area)
                return -EINVAL;
        const struct ct_step *steps = (const struct ct_step *)(plan + 1);
        for (uint32_t i = 0; i < previous; i++) {
                const struct ct_step *s = &steps[i];
                if ((uint64_t)s->s1 + s->n1 >= area || (uint64_t)s->s2 + s->n2 >= area)
                        return -EINVAL;
                if (text[s->s1 + s->n1] != 0 || text[s->s2 + s->n2] != 0)
                        return -EINVAL;
        }
        return 0;
}

int run_open(struct run *run, int plan_fd, struct progress *progress)
{
        struct statx st;
        long r = sys5(__NR_statx, plan_fd, "", AT_EMPTY_PATH, STATX_SIZE, &st);
        if (r < 0)
                return (int)r;
        if (st.stx_size < sizeof(struct ct_plan) || st.stx_size > (64u << 20))
                return -EINVAL;
        long map = sys6(__NR_mmap, 0, (long)st.stx_size, PROT_READ_, MAP_PRIVATE_, plan_fd, 0);
        if (map < 0 && map > -4096)
                return (int)map;
        run->plan = (const struct ct_plan *)map;
        run->plan_fd = plan_fd;
        run->progress = progress;
        run->pidfd = run->mask_directory = -1;
        run->gate[0] = run->gate[1] = run->done = -1;
        run->held = run->again = 0;
        run->spawner = -1;
        run->wait_until = ~(uint64_t)0;
        run->vector = 0;
        for (int i = 0; i < CT_SLOTS; i++)
                run->slots[i] = -1;
        int checked = plan_check(run, st.stx_size);
        if (checked < 0) {
                sys2(__NR_munmap, map, st.stx_size);
                run->plan = 0;
                return checked;
        }
        run->steps = (const struct ct_step *)(run->plan + 1);
        run->strings = (const char *)run->plan + run->plan->strings;
        run->strings_size = run->plan->size - run->plan->strings;
        run->count = run->plan->end[CT_PHASES - 1];
        return 0;
}

void run_close(struct run *run)
{
        for (int i = CT_SLOT_PASSED; i < CT_SLOTS; i++)
                if (run->slots[i] >= 0)
                        close_fd(run->slots[i]);
        if (run->mask_directory >= 0)
                close_fd(run->mask_directory);
        if (run->pidfd >= 0)
                close_fd(run->pidfd);
        if (run->gate[1] >= 0)
                close_fd(run->gate[1]);
        if (run->vector)
                sys2(__NR_munmap, run->vector, run->vector_size);
        if (run->plan)
                sys2(__NR_munmap, run->plan, run->plan->size);
        run->plan = 0;
        run->vector = 0;
}

int slot_fd(const struct run *run, int64_t slot)
{
        if (slot == -1)
                return AT_FDCWD;
        if (slot < 0 || slot >= CT_SLOTS || run->slots[slot] < 0)
                return -EBADF;
        return run->slots[slot];
}

int slot_set(struct run *run, int64_t slot, int fd)
{
        if (slot < CT_SLOT_PASSED || slot >= CT_SLOTS) {
                close_fd(fd);
                return -EINVAL;
        }
        if (run->slots[slot] >= 0)
                close_fd(run->slots[slot]);
        run->slots[slot] = fd;
        return 0;
}

int run_step(struct run *run, const struct ct_step *step)
{
        int r;
        if ((step->flags & CT_F_OPTIONAL) && step->at >= 0 && slot_fd(run, step->at) == -EBADF)
                return 0;
        switch (step->op) {
        case CT_OP_OPEN: case CT_OP_CLOSE: case CT_OP_MKDIR: case CT_OP_WRITE: case CT_OP_CREATE: case CT_OP_SYMLINK:
        case CT_OP_MKNOD: case CT_OP_TARGET: case CT_OP_CHOWN: case CT_OP_CHMOD: case CT_OP_REMOVE_TREE:
        case CT_OP_RMDIR: case CT_OP_UNLINK: case CT_OP_PID_FILE: case CT_OP_PROC_WRITE: case CT_OP_KILL_CGROUP:
        case CT_OP_ABSENT: case CT_OP_LOCK: case CT_OP_REMOVE_UNSHARED:
        case CT_OP_REMOVE_EMPTY:
                r = step_file(run, step);
                break;
        case CT_OP_FSOPEN: case CT_OP_FSCONFIG_STRING: case CT_OP_FSCONFIG_FLAG: case CT_OP_FSCONFIG_FD:
        case CT_OP_FSMOUNT: case CT_OP_OPEN_TREE: case CT_OP_MOUNT_SETATTR: case CT_OP_MOVE_MOUNT: case CT_OP_CHROOT:
        case CT_OP_PIVOT: case CT_OP_MASK: case CT_OP_READ_ONLY: case CT_OP_UMOUNT: case CT_OP_MOUNT: case CT_OP_OVERLAY_OPTIONS:
        case CT_OP_MOUNT_ONCE: case CT_OP_UNMOUNT_UNUSED:
                r = step_mount(run, step);
                break;
        case CT_OP_BOUNDING: case CT_OP_CAPSET: case CT_OP_AMBIENT: case CT_OP_GROUPS: case CT_OP_SETGID:
        case CT_OP_SETUID: case CT_OP_SECCOMP: case CT_OP_PRCTL: case CT_OP_BPF_DEVICE:
                r = step_identity(run, step);
                break;
        case CT_OP_BIND:
                r = bind_port(run, step);
                break;
        case CT_OP_FORWARD:
                r = start_forwarder(run, step);
                break;
        case CT_OP_RESOLVE:
                r = start_resolver(run, step);
                break;
        case CT_OP_FORK: case CT_OP_TERMINAL:
                r = step_join(run, step);
                break;
        default:
                r = step_process(run, step);
        }
        if (r < 0 && (step->flags & CT_F_OPTIONAL))
                return 0;
        return r;
}

int is_aborted(const struct progress *progress)
{
        uint64_t id = __atomic_load_n(&progress->aborted, __ATOMIC_RELAXED);
        return id != 0 && id == progress->id;
}

int run_phase(struct run *run, enum ct_phase phase)
{
        for (uint32_t i = phase_start(run, phase); i < run->plan->end[phase]; i++) {
                run->progress->step = i;
                if (phase == PHASE_HOST && is_aborted(run->progress))
                        return -ECANCELED;
                int r = run_step(run, &run->steps[i]);
                /* Asked anew each time: a hold takes the page away. */
                if (run->tracing)
                        run->progress->trace[i] = (uint32_t)(now_ns() - run->progress->received_ns) | 1u;
                if (r < 0)
                        return r;
        }
        return 0;
}

int run_teardown(struct run *run, uint32_t *step)
{
        int first = 0;
        for (uint32_t i = phase_start(run, PHASE_TEARDOWN); i < run->plan->end[PHASE_TEARDOWN]; i++) {
                if ((first < 0 && (run->steps[i].flags & CT_F_IF_CLEAN)) || (run->again && (run->steps[i].flags & CT_F_FINAL)))
                        continue;
                int r = run_step(run, &run->steps[i]);
                if (r < 0 && first == 0) {
                        first = r;
                        *step = i;
                }
        }
        return first;
}
