/* step-ids.c: steps that set capabilities, ids, filters. Raw system calls: libc's set-id wrappers signal threads that the
 * child of a vfork does not have. */
#include "execute.h"
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>

static int capset(uint64_t permitted, uint64_t inheritable)
{
        struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
        struct __user_cap_data_struct data[2] = {
                {(uint32_t)permitted, (uint32_t)permitted, (uint32_t)inheritable},
                {(uint32_t)(permitted >> 32), (uint32_t)(permitted >> 32), (uint32_t)(inheritable >> 32)},
        };
        return (int)sys2(__NR_capset, &header, data);
}

/* Capabilities that this kernel does not know end the walk: PR_CAPBSET_READ answers EINVAL. */
static int bounding(uint64_t keep)
{
        for (int capability = 0; capability < 64; capability++) {
                long present = sys5(__NR_prctl, PR_CAPBSET_READ, capability, 0, 0, 0);
                if (present == -EINVAL)
                        return 0;
                if (present == 1 && !(keep >> capability & 1)) {
                        long r = sys5(__NR_prctl, PR_CAPBSET_DROP, capability, 0, 0, 0);
                        if (r < 0)
                                return (int)r;
                }
        }
        return 0;
}

static int ambient(uint64_t set)
{
        long r = sys5(__NR_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
        for (int capability = 0; r == 0 && capability < 64; capability++)
                if (set >> capability & 1)
                        r = sys5(__NR_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0);
        return (int)r;
}

/* Attaches a cgroup v2 device program; the kernel keeps it as long as the cgroup lives. */
static int bpf_device(int cgroup, const void *program, uint32_t length)
{
        static const char license[] = "Apache-2.0";
        union bpf_attr attr;
        unsigned char *zero = (unsigned char *)&attr;
        for (size_t i = 0; i < sizeof attr; i++)
                zero[i] = 0;
        attr.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
        attr.insn_cnt = length / 8;
        attr.insns = (uint64_t)(uintptr_t)program;
        attr.license = (uint64_t)(uintptr_t)license;
        long fd = -EAGAIN; /* the verifier gives way to pending signals */
        for (int tries = 0; fd == -EAGAIN && tries < 5; tries++)
                fd = sys3(__NR_bpf, BPF_PROG_LOAD, &attr, sizeof attr);
        if (fd < 0)
                return (int)fd;
        for (size_t i = 0; i < sizeof attr; i++)
                zero[i] = 0;
        attr.target_fd = (uint32_t)cgroup;
        attr.attach_bpf_fd = (uint32_t)fd;
        attr.attach_type = BPF_CGROUP_DEVICE;
        attr.attach_flags = BPF_F_ALLOW_MULTI;
        long r = sys3(__NR_bpf, BPF_PROG_ATTACH, &attr, sizeof attr);
        close_fd((int)fd);
        return (int)r;
}

int step_identity(struct run *run, const struct ct_step *step)
{
        const char *s1 = step_s1(run, step);
        struct sock_fprog program;
        int at;
        switch (step->op) {
        case CT_OP_BOUNDING:
                return bounding(step->x);
        case CT_OP_CAPSET:
                return capset(step->x, step->y);
        case CT_OP_AMBIENT:
                return ambient(step->x);
        case CT_OP_GROUPS:
                return (int)sys2(__NR_setgroups, step->n1 / 4, s1);
        case CT_OP_SETGID:
                return (int)sys3(__NR_setresgid, step->x, step->x, step->x);
        case CT_OP_SETUID:
                return (int)sys3(__NR_setresuid, step->x, step->x, step->x);
        case CT_OP_SECCOMP:
                program = (struct sock_fprog){(unsigned short)(step->n1 / 8), (struct sock_filter *)(uintptr_t)s1};
                return (int)sys3(__NR_seccomp, SECCOMP_SET_MODE_FILTER, step->x, &program);
        case CT_OP_PRCTL:
                return (int)sys5(__NR_prctl, step->x, step->y, step->z, 0, 0);
        case CT_OP_BPF_DEVICE:
                at = slot_fd(run, step->at);
                return at < 0 ? at : bpf_device(at, s1, step->n1);
        }
        return -ENOSYS;
}
