/* step-files.c: steps that make, write and remove files. */
#include "execute.h"
#include <asm/statfs.h>

#define RENAME_NOREPLACE_ 1

struct directory_entry {
        uint64_t inode;
        int64_t offset;
        uint16_t length;
        uint8_t type;
        char name[];
};

static int write_all(int fd, const char *bytes, uint64_t length)
{
        do {
                long n = sys3(__NR_write, fd, bytes, length);
                if (n == -EINTR)
                        continue;
                if (n < 0)
                        return (int)n;
                bytes += n;
                length -= (uint64_t)n;
        } while (length > 0);
        return 0;
}

static int write_file(int at, const char *path, const char *bytes, uint64_t length)
{
        long fd = sys4(__NR_openat, at, path, O_WRONLY | O_CLOEXEC | O_NOCTTY, 0);
        if (fd < 0)
                return (int)fd;
        int r = write_all((int)fd, bytes, length);
        close_fd((int)fd);
        return r;
}

static int create_file(int at, const char *path, uint32_t mode, uint32_t how, const char *bytes, uint64_t length)
{
        long fd = sys4(__NR_openat, at, path, O_WRONLY | O_CLOEXEC | O_CREAT | O_NOFOLLOW | how, mode);
        if (fd < 0)
                return (int)fd;
        int r = write_all((int)fd, bytes, length);
        close_fd((int)fd);
        return r;
}

/* A file appears with its contents or not at all, to readers and to whoever comes after our sudden death.
 * how: RENAME_NOREPLACE, or 0 to replace what is there. */
static int create_whole_file(struct run *run, int at, const char *path, uint32_t mode, uint32_t how, const char *bytes, uint64_t length)
{
        if (text_length(path) + 2 > sizeof run->path)
                return -ENAMETOOLONG;
        text_append(text_append(run->path, path), "~");
        int r = create_file(at, run->path, mode, O_TRUNC, bytes, length);
        if (r < 0)
                return r;
        r = (int)sys5(__NR_renameat2, at, run->path, at, path, how);
        if (r < 0)
                sys3(__NR_unlinkat, at, run->path, 0);
        return r;
}

#define NAME_SIZE 256
#define SYMLINKS_MAX 40                /* as many as the kernel follows: path_resolution(7) */

/* The directory of run->path[0..end) below root, and the name in it. The parent is resolved inside root as well. */
static long open_parent(struct run *run, int root, uint32_t end, char name[NAME_SIZE], uint32_t *start)
{
        uint32_t slash = end;
        while (slash > 0 && run->path[slash - 1] != '/')
                slash--;
        if (end - slash >= NAME_SIZE)
                return -ENAMETOOLONG;
        for (uint32_t i = slash; i < end; i++)
                name[i - slash] = run->path[i];
        name[end - slash] = 0;
        char kept = run->path[slash];
        run->path[slash] = 0;
        long parent = openat2_path(root, slash ? run->path : ".", O_PATH | O_DIRECTORY | O_CLOEXEC, 0,
                                   RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
        run->path[slash] = kept;
        *start = slash;
        return parent;
}

/* Makes what run->path[0..end) names. When that is a symlink to something that is not there (/etc/resolv.conf of many images),
 * its target takes its place in run->path and 1 is the answer: the walk begins anew. */
static int make_component(struct run *run, int root, uint32_t end, int file, uint32_t mode)
{
        char name[NAME_SIZE], target[1024];
        uint32_t start, rest = (uint32_t)text_length(run->path + end) + 1;
        long parent = open_parent(run, root, end, name, &start);
        if (parent < 0)
                return (int)parent;
        long r;
        if (file) {
                r = sys4(__NR_openat, parent, name, O_CREAT | O_EXCL | O_NOFOLLOW | O_WRONLY | O_CLOEXEC, mode);
                if (r >= 0)
                        r = close_fd((int)r);
        } else {
                r = sys3(__NR_mkdirat, parent, name, mode);
        }
        long length = r == -EEXIST ? sys4(__NR_readlinkat, parent, name, target, sizeof target) : 0;
        close_fd((int)parent);
        if (r != -EEXIST)
                return (int)r;
        if (length <= 0)
                return 0;              /* no symlink: somebody was quicker */
        if (target[0] == '/')
                start = 0;
        if (length == sizeof target || start + (uint32_t)length + rest > sizeof run->path)
                return -ENAMETOOLONG;
        memmove(run->path + start + length, run->path + end, rest);
        for (long i = 0; i < length; i++)
                run->path[start + i] = target[i];
        return 1;
}

int open_in_root(struct run *run, int root, const char *path, uint32_t flags, uint32_t mode)
{
        uint64_t resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | ((flags & CT_F_NO_SYMLINKS) ? RESOLVE_NO_SYMLINKS : 0);
        long fd = openat2_path(root, path[0] ? path : ".", O_PATH | O_CLOEXEC, 0, resolve);
        if (fd != -ENOENT || !(flags & CT_F_MAKE))
                return (int)fd;
        if (text_length(path) >= sizeof run->path)
                return -ENAMETOOLONG;
        text_append(run->path, path);
        int symlinks = 0;
        for (uint32_t end = 1; run->path[end - 1] != 0; end++) {
                if ((run->path[end] != '/' && run->path[end] != 0) || run->path[end - 1] == '/')
                        continue;
                char kept = run->path[end];
                run->path[end] = 0;
                fd = openat2_path(root, run->path, O_PATH | O_CLOEXEC, 0, resolve);
                run->path[end] = kept;
                if (fd >= 0)
                        close_fd((int)fd);
                else if (fd != -ENOENT)
                        return (int)fd;
                if (fd >= 0)
                        continue;
                int last = kept == 0 || run->path[end + 1] == 0;
                int r = make_component(run, root, end, last && (flags & CT_F_FILE), last ? mode : 0755);
                if (r < 0)
                        return r;
                if (r == 1 && ++symlinks > SYMLINKS_MAX)
                        return -ELOOP;
                if (r == 1)
                        end = 0;
        }
        return (int)openat2_path(root, path, O_PATH | O_CLOEXEC, 0, resolve);
}

/* EXDEV for a mount point, also when what is mounted there is a part of the same file system. */
static long open_to_empty(int parent, const char *name)
{
        return openat2_path(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0, RESOLVE_NO_XDEV | RESOLVE_BENEATH);
}

/* Deletes what is below directory, an open descriptor that this function closes. Trees deeper than the bound are moved up to
 * top and deleted from there, so that neither descriptors nor stack grow with what a container made. */
static int remove_children(int directory, int top, uint64_t device, int depth, uint32_t *moved)
{
        _Alignas(struct directory_entry) char buffer[2048];
        int first = 0, again = 1;
        while (again) {
                again = 0;
                sys3(__NR_lseek, directory, 0, 0);
                long n;
                while ((n = sys3(__NR_getdents64, directory, buffer, sizeof buffer)) > 0) {
                        for (long at = 0; at < n;) {
                                struct directory_entry *entry = (struct directory_entry *)(buffer + at);
                                at += entry->length;
                                if (text_equal(entry->name, ".") || text_equal(entry->name, ".."))
                                        continue;
                                long r = sys3(__NR_unlinkat, directory, entry->name, 0);
                                if (r == -EISDIR || r == -EPERM || r == -ENOTEMPTY)
                                        r = sys3(__NR_unlinkat, directory, entry->name, AT_REMOVEDIR);
                                if (r == 0 || r == -ENOENT) {
                                        again |= r == 0;
                                        continue;
                                }
                                if (r == -ENOTEMPTY || r == -EEXIST) {
                                        if (depth >= 24) {
                                                char name[40], *end = text_append(name, ".coracle-removed-");
                                                text_number(end, (*moved)++);
                                                r = sys5(__NR_renameat2, directory, entry->name, top, name, 0);
                                                again |= r == 0;
                                        } else {
                                                struct statx st;
                                                long child = open_to_empty(directory, entry->name);
                                                if (child == -EACCES && sys3(__NR_fchmodat, directory, entry->name, 0700) == 0)
                                                        child = open_to_empty(directory, entry->name);
                                                r = child < 0 ? child : sys5(__NR_statx, child, "", AT_EMPTY_PATH, STATX_TYPE, &st);
                                                if (r == 0 && (((uint64_t)st.stx_dev_major << 32) | st.stx_dev_minor) != device)
                                                        r = -EXDEV;
                                                if (r == 0)
                                                        r = remove_children((int)child, top, device, depth + 1, moved);
                                                else if (child >= 0)
                                                        close_fd((int)child);
                                                if (r == 0)
                                                        r = sys3(__NR_unlinkat, directory, entry->name, AT_REMOVEDIR);
                                                again |= r == 0;
                                        }
                                }
                                if (r < 0 && first == 0)
                                        first = (int)r;
                        }
                }
                if (n < 0 && first == 0)
                        first = (int)n;
                if (first < 0)
                        break;
        }
        close_fd(directory);
        return first;
}

static int remove_tree(int at, const char *path)
{
        struct statx st;
        uint32_t moved = 0;
        long directory = sys4(__NR_openat, at, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
        if (directory == -ENOENT)
                return 0;
        if (directory == -ENOTDIR || directory == -ELOOP)
                return (int)sys3(__NR_unlinkat, at, path, 0);
        if (directory < 0)
                return (int)directory;
        long r = sys5(__NR_statx, directory, "", AT_EMPTY_PATH, STATX_TYPE, &st);
        if (r < 0) {
                close_fd((int)directory);
                return (int)r;
        }
        long top = sys3(__NR_fcntl, directory, F_DUPFD_CLOEXEC, 0);
        r = remove_children((int)directory, (int)top, ((uint64_t)st.stx_dev_major << 32) | st.stx_dev_minor, 0, &moved);
        close_fd((int)top);
        if (r == 0)
                r = sys3(__NR_unlinkat, at, path, AT_REMOVEDIR);
        return r == -ENOENT ? 0 : (int)r;
}

/* Sub-cgroups that a privileged container made go first: a cgroup directory holds nothing else that can be removed. */
static void remove_sub_cgroups(int parent, const char *path, int depth)
{
        _Alignas(struct directory_entry) char buffer[2048];
        long n, directory = sys4(__NR_openat, parent, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
        if (directory < 0)
                return;
        while ((n = sys3(__NR_getdents64, directory, buffer, sizeof buffer)) > 0)
                for (long at = 0; at < n;) {
                        struct directory_entry *entry = (struct directory_entry *)(buffer + at);
                        at += entry->length;
                        if (entry->type != 4 /* DT_DIR */ || text_equal(entry->name, ".") || text_equal(entry->name, ".."))
                                continue;
                        if (sys3(__NR_unlinkat, directory, entry->name, AT_REMOVEDIR) < 0 && depth < 16) {
                                remove_sub_cgroups((int)directory, entry->name, depth + 1);
                                sys3(__NR_unlinkat, directory, entry->name, AT_REMOVEDIR);
                        }
                }
        close_fd((int)directory);
}

/* Until when a step may wait: its own time, and what is left of that of the whole teardown. */
static uint64_t wait_end(const struct run *run, uint64_t wait_ms)
{
        uint64_t own = now_ns() + wait_ms * 1000000u;
        return own < run->wait_until ? own : run->wait_until;
}

/* A cgroup stays busy for a moment after its last task: the kernel lets go of a dead task's cgroup when it is reaped. */
static int remove_cgroup(int at, const char *path, uint64_t until)
{
        for (long pause = 20;; pause = pause < 2000 ? pause * 2 : pause) {
                long r = sys3(__NR_unlinkat, at, path, AT_REMOVEDIR);
                if (r == -ENOENT)
                        return 0;
                if (r != -EBUSY || now_ns() >= until)
                        return (int)r;
                sleep_us(pause);
                if (pause == 40)
                        remove_sub_cgroups(at, path, 0);
        }
}

/* Kills every process in a cgroup directory: cgroup.kill (v2, 5.14), else each pid of cgroup.procs until none is left. */
static int kill_cgroup(int at, const char *path, uint64_t until)
{
        long directory = sys4(__NR_openat, at, path, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
        if (directory == -ENOENT)
                return 0;
        if (directory < 0)
                return (int)directory;
        int result = 0;
        write_file((int)directory, "cgroup.kill", "1", 1);
        for (long pause = 50;; pause = pause < 5000 ? pause * 2 : pause) {
                char text[4096];
                long fd = sys4(__NR_openat, directory, "cgroup.procs", O_RDONLY | O_CLOEXEC, 0);
                if (fd < 0) {
                        result = fd == -ENOENT || fd == -ENODEV ? 0 : (int)fd;
                        break;
                }
                long n = sys3(__NR_read, fd, text, sizeof text);
                close_fd((int)fd);
                if (n <= 0) {
                        result = n == -ENODEV ? 0 : (int)n;
                        break;
                }
                int pid = 0;
                for (long i = 0; i < n; i++) {
                        if (text[i] >= '0' && text[i] <= '9') {
                                pid = pid * 10 + (text[i] - '0');
                                continue;
                        }
                        if (pid > 0)
                                sys2(__NR_kill, pid, SIGKILL_);
                        pid = 0;
                }
                if (now_ns() >= until) {
                        result = -EBUSY;
                        break;
                }
                sleep_us(pause);
        }
        close_fd((int)directory);
        return result;
}

/* "pid starttime\n": the start time (field 22 of proc_pid_stat(5), clock ticks since boot) tells a process from a later one
 * with the same number. The command name in the second field may hold any byte, so fields are counted after the last ')'. */
static int pid_file(struct run *run, const struct ct_step *step)
{
        char text[1024], name[32], line[64];
        int pid = run->progress->pid;
        text_append(text_number(name, (uint64_t)pid), "/stat");
        long fd = sys4(__NR_openat, slot_fd(run, CT_SLOT_PROC), name, O_RDONLY | O_CLOEXEC, 0);
        if (fd < 0)
                return (int)fd;
        long n = sys3(__NR_read, fd, text, sizeof text - 1);
        close_fd((int)fd);
        if (n < 0)
                return (int)n;
        long at = n;
        while (at > 0 && text[at - 1] != ')')
                at--;
        int field = 2;
        while (at < n && field < 22)
                field += text[at++] == ' ';
        char *end = text_append(text_number(line, (uint64_t)pid), " ");
        while (at < n && text[at] >= '0' && text[at] <= '9')
                *end++ = text[at++];
        *end++ = '\n';
        int dir = slot_fd(run, step->at);
        uint64_t length = (uint64_t)(end - line);
        if (!(step->flags & CT_F_EXISTS_OK))
                return create_file(dir, step_s1(run, step), (uint32_t)step->x, O_TRUNC, line, length);
        return create_whole_file(run, dir, step_s1(run, step), (uint32_t)step->x, 0, line, length);
}

static int proc_write(struct run *run, const struct ct_step *step)
{
        char name[64];
        if (step->n1 > 30)
                return -EINVAL;
        text_append(text_append(text_number(name, (uint64_t)run->progress->pid), "/"), step_s1(run, step));
        return write_file(slot_fd(run, CT_SLOT_PROC), name, step_s2(run, step), step->n2);
}

#define PROC_SUPER_MAGIC_ 0x9fa0       /* linux/magic.h */
#define PROC_ROOT_INODE 1              /* linux/proc_fs.h of the kernel */

static long is_in_proc(int fd)
{
        struct statfs st;
        long r = sys2(__NR_fstatfs, fd, &st);
        return r < 0 ? r : st.f_type == PROC_SUPER_MAGIC_;
}

static long is_root_of_proc(int fd)
{
        struct statx st;
        long r = is_in_proc(fd);
        if (r != 1)
                return r;
        r = sys5(__NR_statx, fd, "", AT_EMPTY_PATH, STATX_INO, &st);
        return r < 0 ? r : st.stx_ino == PROC_ROOT_INODE;
}

/* A procfs may be covered by another procfs as a whole, as with -v /proc:/proc. */
static long check_not_in_proc(int place, int like)
{
        long r = is_in_proc(place);
        if (r != 1)
                return r;
        r = is_root_of_proc(place);
        if (r == 1)
                r = is_root_of_proc(like);
        return r < 0 ? r : r == 1 ? 0 : -EXDEV;
}

/* Whether what is to be mounted at a place can be: a directory on a directory, anything else on anything else. */
static long check_like(int place, uint32_t mode, int gives_mode, int mount)
{
        uint32_t found;
        long r = statx_mode(place, "", &found, 0, 0);
        if (r == 0 && ((found & S_IFMT) == S_IFDIR) != ((mode & S_IFMT) == S_IFDIR))
                r = -ENOTDIR;
        if (r == 0 && gives_mode)
                r = sys3(__NR_fchmodat, mount, ".", found & 07777);
        return r;
}

/* What a missing target has to be is known only once its source is open: a stat before would have told of another moment. */
static int target(struct run *run, const struct ct_step *step, int root)
{
        const char *path = step_s1(run, step);
        uint32_t flags = step->flags, mode = 0;
        int like = slot_fd(run, (int64_t)step->x);
        if (flags & CT_F_LIKE) {
                long r = like < 0 ? -EBADF : statx_mode(like, "", &mode, 0, 0);
                if (r < 0)
                        return (int)r;
                if ((mode & S_IFMT) != S_IFDIR)
                        flags |= CT_F_FILE;
        }
        int fd = open_in_root(run, root, path, flags & ~(uint32_t)CT_F_MAKE, 0), made = fd == -ENOENT;
        if (made)
                fd = open_in_root(run, root, path, flags | CT_F_MAKE, step->y ? (uint32_t)step->y : 0755);
        if (fd < 0)
                return fd;
        long r = (step->z & CT_TARGET_NOT_IN_PROC) ? check_not_in_proc(fd, like) : 0;
        if (r == 0 && (flags & CT_F_LIKE))
                r = check_like(fd, mode, (step->z & CT_TARGET_GIVES_MODE) && !made, like);
        if (r < 0) {
                close_fd(fd);
                return (int)r;
        }
        return slot_set(run, step->out, fd);
}

static int is_symlink_to(struct run *run, int at, const char *path, const char *target)
{
        long n = sys4(__NR_readlinkat, at, path, run->path, sizeof run->path - 1);
        if (n < 0)
                return 0;
        run->path[n] = 0;
        return text_equal(run->path, target);
}

/* Waits as long as the step and the teardown may: whoever holds it does so for as long as a mount takes. */
static int lock_file(struct run *run, const struct ct_step *step, int at)
{
        uint64_t until = wait_end(run, step->x);
        long fd = sys4(__NR_openat, at, step_s1(run, step), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd == -ENOENT)
                return 0;
        if (fd < 0)
                return (int)fd;
        for (long pause = 100;; pause = pause < 5000 ? pause * 2 : pause) {
                long r = sys2(__NR_flock, fd, LOCK_EX_ | LOCK_NB_);
                if (r == 0)
                        return slot_set(run, step->out, (int)fd);
                if (r != -EAGAIN || now_ns() >= until) {
                        close_fd((int)fd);
                        return r == -EAGAIN ? -EBUSY : (int)r;
                }
                sleep_us(pause);
        }
}

/* The directory s2 has an entry for each that shares what is to be removed. */
static int remove_unshared(const char *path, const char *users)
{
        long r = sys3(__NR_unlinkat, AT_FDCWD, users, AT_REMOVEDIR);
        if (r == -ENOTEMPTY || r == -EEXIST)
                return 0;
        if (r == 0 || r == -ENOENT)
                r = sys3(__NR_unlinkat, AT_FDCWD, path + text_length(path) + 1, 0);
        return r == 0 || r == -ENOENT ? remove_tree(AT_FDCWD, path) : (int)r;
}

/* Absent, too, means that somebody else did what there was to be done. */
static int remove_empty(struct run *run, const struct ct_step *step, int lock)
{
        long r = sys3(__NR_unlinkat, AT_FDCWD, step_s1(run, step), AT_REMOVEDIR);
        if (r == 0)
                r = sys3(__NR_fcntl, lock, F_DUPFD_CLOEXEC, 3);
        else if (r == -ENOTEMPTY || r == -EEXIST || r == -ENOENT)
                return 0;
        return r < 0 ? (int)r : slot_set(run, step->out, (int)r);
}

int step_file(struct run *run, const struct ct_step *step)
{
        const char *s1 = step_s1(run, step), *s2 = step_s2(run, step);
        int at = slot_fd(run, step->at);
        uint32_t mode;
        long r;
        if (at == -EBADF && (step->op == CT_OP_REMOVE_UNSHARED || step->op == CT_OP_REMOVE_EMPTY))
                return 0;
        if (at == -EBADF && step->at != -1)
                return -EBADF;
        switch (step->op) {
        case CT_OP_OPEN:
                r = openat2_path(at, s1[0] ? s1 : ".", step->x | O_CLOEXEC, step->y & 0xffff, step->y >> 32);
                return r < 0 ? (int)r : slot_set(run, step->out, (int)r);
        case CT_OP_CLOSE:
                if (step->at >= CT_SLOT_PASSED)
                        run->slots[step->at] = -1;
                return close_fd(at);
        case CT_OP_MKDIR:
                r = sys3(__NR_mkdirat, at, s1, step->x);
                return r == -EEXIST && (step->flags & CT_F_EXISTS_OK) ? 0 : (int)r;
        case CT_OP_WRITE:
                return s1[0] ? write_file(at, s1, s2, step->n2) : write_all(at, s2, step->n2);
        case CT_OP_CREATE:
                if (step->flags & CT_F_EXISTS_OK)
                        return create_file(at, s1, (uint32_t)step->x, O_TRUNC, s2, step->n2);
                return create_whole_file(run, at, s1, (uint32_t)step->x, RENAME_NOREPLACE_, s2, step->n2);
        case CT_OP_SYMLINK:
                return (int)sys3(__NR_symlinkat, s2, at, s1);
        case CT_OP_MKNOD:
                return (int)sys4(__NR_mknodat, at, s1, step->x, step->y);
        case CT_OP_TARGET:
                return target(run, step, at);
        case CT_OP_CHOWN:
                return (int)sys5(__NR_fchownat, at, s1, step->x, step->y, AT_SYMLINK_NOFOLLOW | (s1[0] ? 0 : AT_EMPTY_PATH));
        case CT_OP_CHMOD:
                return (int)(s1[0] ? sys3(__NR_fchmodat, at, s1, step->x) : sys2(__NR_fchmod, at, step->x));
        case CT_OP_REMOVE_TREE:
                return remove_tree(at, s1);
        case CT_OP_RMDIR:
                return remove_cgroup(at, s1, wait_end(run, step->x));
        case CT_OP_UNLINK:
                r = step->n2 > 0 && !is_symlink_to(run, at, s1, s2) ? 0 : sys3(__NR_unlinkat, at, s1, 0);
                return r == -ENOENT ? 0 : (int)r;
        case CT_OP_ABSENT:
                r = statx_mode(at, s1, &mode, 0, 0);
                return r == -ENOENT ? 0 : r < 0 ? (int)r : -EEXIST;
        case CT_OP_PID_FILE:
                return pid_file(run, step);
        case CT_OP_PROC_WRITE:
                return proc_write(run, step);
        case CT_OP_KILL_CGROUP:
                return kill_cgroup(at, s1, wait_end(run, step->x));
        case CT_OP_LOCK:
                return lock_file(run, step, at);
        case CT_OP_REMOVE_UNSHARED:
                return remove_unshared(s1, s2);
        case CT_OP_REMOVE_EMPTY:
                return remove_empty(run, step, at);
        }
        return -ENOSYS;
}
