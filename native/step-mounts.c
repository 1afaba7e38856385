/* step-mounts.c: steps that make file systems, attach them and switch the root. Everything goes by descriptor. */
#include "launcher.h"

#define FSOPEN_CLOEXEC 1
#define FSMOUNT_CLOEXEC 1

static int new_mount(const char *type, const char *key, const char *value, uint64_t attributes)
{
        long fs = sys2(__NR_fsopen, type, FSOPEN_CLOEXEC);
        if (fs < 0)
                return (int)fs;
        long r = key ? sys5(__NR_fsconfig, fs, CT_FSCONFIG_SET_STRING, key, value, 0) : 0;
        if (r == 0)
                r = sys5(__NR_fsconfig, fs, CT_FSCONFIG_CMD_CREATE, 0, 0, 0);
        if (r == 0)
                r = sys3(__NR_fsmount, fs, FSMOUNT_CLOEXEC, attributes);
        close_fd((int)fs);
        return (int)r;
}

static long attach(int mount, int target)
{
        return sys5(__NR_move_mount, mount, "", target, "", CT_MOVE_MOUNT_F_EMPTY_PATH | CT_MOVE_MOUNT_T_EMPTY_PATH);
}

/* Masks and read-only paths are absent on many kernels: that is fine. A symlink on the way is not: nothing in a fresh procfs or
 * sysfs has one there, so somebody put something else in the way. */
static long existing(int root, const char *path)
{
        long fd = openat2_path(root, path, O_PATH | O_CLOEXEC, 0, RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS);
        return fd;
}

static int mask(struct run *run, int root, int null, const char *path)
{
        uint32_t mode, major, minor;
        long target = existing(root, path);
        if (target < 0)
                return target == -ENOENT || target == -ENOTDIR ? 0 : (int)target;
        long r = statx_mode((int)target, "", &mode, 0, 0), cover = -1;
        if (r < 0)
                goto out;
        if ((mode & S_IFMT) != S_IFDIR) {
                r = statx_mode(null, "", &mode, &major, &minor);
                if (r == 0 && ((mode & S_IFMT) != S_IFCHR || major != 1 || minor != 3))
                        r = -EPERM;
                if (r < 0)
                        goto out;
                cover = sys3(__NR_open_tree, null, "", CT_OPEN_TREE_CLONE | O_CLOEXEC | AT_EMPTY_PATH);
        } else if (run->mask_directory >= 0) {
                cover = sys3(__NR_open_tree, run->mask_directory, "", CT_OPEN_TREE_CLONE | O_CLOEXEC | AT_EMPTY_PATH);
        } else {
                cover = new_mount("tmpfs", "nr_inodes", "1",
                                  CT_MOUNT_ATTR_RDONLY | CT_MOUNT_ATTR_NOSUID | CT_MOUNT_ATTR_NODEV | CT_MOUNT_ATTR_NOEXEC);
        }
        r = cover < 0 ? cover : attach((int)cover, (int)target);
        if (r == 0 && (mode & S_IFMT) == S_IFDIR && run->mask_directory < 0) {
                run->mask_directory = (int)cover;
                cover = -1;
        }
        if (cover >= 0)
                close_fd((int)cover);
out:
        close_fd((int)target);
        return (int)r;
}

static int read_only(int root, const char *path)
{
        struct ct_mount_attr attributes = {.set = CT_MOUNT_ATTR_RDONLY};
        long target = existing(root, path);
        if (target < 0)
                return target == -ENOENT || target == -ENOTDIR ? 0 : (int)target;
        long tree = sys3(__NR_open_tree, target, "", CT_OPEN_TREE_CLONE | O_CLOEXEC | AT_EMPTY_PATH | CT_AT_RECURSIVE);
        long r = tree;
        if (tree >= 0) {
                r = sys5(__NR_mount_setattr, tree, "", AT_EMPTY_PATH | CT_AT_RECURSIVE, &attributes, sizeof attributes);
                if (r == 0)
                        r = attach((int)tree, (int)target);
                close_fd((int)tree);
        }
        close_fd((int)target);
        return (int)r;
}

/* The old root ends up stacked on the new one, so "." still reaches it and the image needs no directory to park it in:
 * pivot_root(2), NOTES. */
static int pivot(int root)
{
        long r = sys1(__NR_fchdir, root);
        if (r == 0)
                r = sys2(__NR_pivot_root, ".", ".");
        if (r == 0)
                r = sys2(__NR_umount2, ".", CT_MNT_DETACH);
        if (r == 0)
                r = sys1(__NR_chdir, "/");
        return (int)r;
}

struct overlay {
        const struct run *run;
        const struct ct_step *step;
        int directory, result;
};

/* Layers that are mounts of their own, in the slots from x on, go below the directory: their names follow the place. */
static long attach_layers(const struct run *run, const struct ct_step *step)
{
        const char *name = step_s1(run, step), *end = name + step->n1;
        for (uint64_t i = 0; i < step->y; i++) {
                name += text_length(name) + 1;
                if (name >= end)
                        return -EINVAL;
                int layer = slot_fd(run, (int64_t)(step->x + i));
                long r = layer < 0 ? layer : sys5(__NR_move_mount, layer, "", AT_FDCWD, name, CT_MOVE_MOUNT_F_EMPTY_PATH);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Runs in a process of its own that shares memory and descriptors with us: what it mounts is gone with its namespace, but for
 * the clone. */
static int make_overlay(void *argument)
{
        struct overlay *overlay = argument;
        const char *place = step_s1(overlay->run, overlay->step), *options = step_s2(overlay->run, overlay->step);
        /* First the directory: unshare moves it into the copy, where overlayfs wants its layers (clone_private_mount). */
        long r = sys1(__NR_fchdir, overlay->directory);
        if (r == 0)
                r = sys1(__NR_unshare, CLONE_NEWNS);
        if (r == 0)
                r = sys5(__NR_mount, 0, "/", 0, CT_MS_REC | CT_MS_PRIVATE, 0);
        if (r == 0)
                r = attach_layers(overlay->run, overlay->step);
        if (r == 0)
                r = sys5(__NR_mount, "overlay", place, "overlay", 0, options);
        if (r == 0)
                r = sys3(__NR_open_tree, AT_FDCWD, place, CT_OPEN_TREE_CLONE | O_CLOEXEC);
        overlay->result = (int)r;
        return 0;
}

/* Kernels before 6.7 take layers in one option only: fsconfig(2) bounds it to 255 bytes, mount(2) to a page. The paths are short
 * and relative, so that hundreds fit. */
static int overlay_by_options(const struct run *run, const struct ct_step *step, int directory)
{
        static char stack[16384] __attribute__((aligned(64)));
        struct overlay overlay = {run, step, directory, -ECHILD};
        struct clone_args args = {
                .flags = CLONE_VM | CLONE_VFORK | CLONE_FILES,
                .exit_signal = SIGCHLD_,
                .stack = (uint64_t)(uintptr_t)stack,
                .stack_size = sizeof stack,
        };
        long pid = ct_clone3(&args, sizeof args, make_overlay, &overlay);
        if (pid < 0)
                return (int)pid;
        sys4(__NR_wait4, pid, 0, 0x40000000 /* __WALL */, 0);
        return overlay.result;
}

static int is_mount_root(const char *path)
{
        struct statx st;
        long r = sys5(__NR_statx, AT_FDCWD, path, AT_NO_AUTOMOUNT, STATX_TYPE, &st);
        return r < 0 ? (int)r : (st.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
}

static int mount_once(const char *source, const char *type, uint64_t flags)
{
        const char *target = source + text_length(source) + 1;
        int mounted = is_mount_root(target);
        if (mounted != 0)
                return mounted < 0 ? mounted : 0;
        return (int)sys5(__NR_mount, source, target, type, flags, type + text_length(type) + 1);
}

/* The directory has an entry for each that uses the mount; the lock keeps others from making one meanwhile. */
static int unmount_unused(const char *place, const char *users)
{
        long r = sys3(__NR_unlinkat, AT_FDCWD, users, AT_REMOVEDIR);
        if (r == -ENOTEMPTY || r == -EEXIST)
                return 0;
        if (r < 0 && r != -ENOENT)
                return (int)r;
        r = sys2(__NR_umount2, place, CT_MNT_DETACH | CT_UMOUNT_NOFOLLOW);
        return r == -EINVAL || r == -ENOENT ? 0 : (int)r;
}

int step_mount(struct run *run, const struct ct_step *step)
{
        const char *s1 = step_s1(run, step), *s2 = step_s2(run, step);
        int at = slot_fd(run, step->at), other;
        struct ct_mount_attr attributes;
        long r;
        if (at == -EBADF && step->op == CT_OP_UNMOUNT_UNUSED)
                return 0;
        if (at == -EBADF && step->op != CT_OP_FSOPEN)
                return -EBADF;
        switch (step->op) {
        case CT_OP_FSOPEN:
                r = sys2(__NR_fsopen, s1, FSOPEN_CLOEXEC);
                return r < 0 ? (int)r : slot_set(run, step->out, (int)r);
        case CT_OP_FSCONFIG_STRING:
                return (int)sys5(__NR_fsconfig, at, CT_FSCONFIG_SET_STRING, s1, s2, 0);
        case CT_OP_FSCONFIG_FLAG:
                return (int)sys5(__NR_fsconfig, at, CT_FSCONFIG_SET_FLAG, s1, 0, 0);
        case CT_OP_FSCONFIG_FD:
                other = slot_fd(run, (int64_t)step->x);
                return other < 0 ? other : (int)sys5(__NR_fsconfig, at, CT_FSCONFIG_SET_FD, s1, 0, other);
        case CT_OP_FSMOUNT:
                r = sys5(__NR_fsconfig, at, CT_FSCONFIG_CMD_CREATE, 0, 0, 0);
                if (r == 0)
                        r = sys3(__NR_fsmount, at, FSMOUNT_CLOEXEC, step->x);
                if (r < 0)
                        return (int)r;
                close_fd(at);
                run->slots[step->at] = -1;
                return slot_set(run, step->out, (int)r);
        case CT_OP_OPEN_TREE:
                r = sys3(__NR_open_tree, at, s1, step->x | O_CLOEXEC | (s1[0] ? 0 : AT_EMPTY_PATH));
                return r < 0 ? (int)r : slot_set(run, step->out, (int)r);
        case CT_OP_MOUNT_SETATTR:
                other = step->out >= 0 ? slot_fd(run, step->out) : 0;
                if (other < 0)
                        return other;
                attributes = (struct ct_mount_attr){step->x & 0xffffffffu, step->x >> 32, step->y, (uint64_t)other};
                return (int)sys5(__NR_mount_setattr, at, s1, step->z | (s1[0] ? 0 : AT_EMPTY_PATH), &attributes, sizeof attributes);
        case CT_OP_MOVE_MOUNT:
                other = slot_fd(run, (int64_t)step->x);
                if (other == -EBADF)
                        return -EBADF;
                return (int)sys5(__NR_move_mount, at, "", other, s1,
                                 CT_MOVE_MOUNT_F_EMPTY_PATH | (s1[0] ? 0 : CT_MOVE_MOUNT_T_EMPTY_PATH) | step->y);
        case CT_OP_OVERLAY_OPTIONS:
                r = overlay_by_options(run, step, at);
                return r < 0 ? (int)r : slot_set(run, step->out, (int)r);
        case CT_OP_CHROOT:
                r = sys1(__NR_fchdir, at);
                return r < 0 ? (int)r : (int)sys1(__NR_chroot, ".");
        case CT_OP_PIVOT:
                return pivot(at);
        case CT_OP_MASK:
                other = slot_fd(run, (int64_t)step->x);
                return other < 0 && other != AT_FDCWD ? other : mask(run, at, other, s1);
        case CT_OP_READ_ONLY:
                return read_only(at, s1);
        case CT_OP_UMOUNT:
                r = sys2(__NR_umount2, s1, step->x);
                return r == -EINVAL || r == -ENOENT ? 0 : (int)r;
        case CT_OP_MOUNT_ONCE:
                return mount_once(s1, s2, step->x);
        case CT_OP_UNMOUNT_UNUSED:
                return unmount_unused(s1, s2);
        case CT_OP_MOUNT:
                r = sys1(__NR_fchdir, at);
                return r < 0 ? (int)r : (int)sys5(__NR_mount, s1, ".", s2, step->x, s2 + text_length(s2) + 1);
        }
        return -ENOSYS;
}
