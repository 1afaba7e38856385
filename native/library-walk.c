/* All entries of a tree in one call: what is compared to learn what has changed since; what copies by sharing blocks, and where it lies.
 * library.h has the contract. */
#include "library.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/btrfs.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CLOSED __attribute__((cleanup(close_keeping_errno)))
#define NAMES_BYTES 32768

static void close_keeping_errno(const int *fd)
{
        int saved = errno;
        if (*fd >= 0)
                close(*fd);
        errno = saved;
}

struct walk {
        uint8_t *entries;
        int64_t used, size;
};

static int record(struct walk *walk, int directory, const char *path, size_t path_bytes, const struct dirent64 *found)
{
        struct stat status;
        const char *name = found->d_name;
        size_t name_bytes = strlen(name) + 1;
        size_t between = path_bytes > 0 ? 1 : 0;
        struct ct_walked *entry = (struct ct_walked *)(walk->entries + walk->used);
        int64_t bytes = (int64_t)((sizeof *entry + path_bytes + between + name_bytes + 7) & ~7ul);
        if (walk->size - walk->used < bytes) {
                errno = ENOBUFS;
                return -1;
        }
        uint32_t type = DTTOIF(found->d_type);
        if (found->d_type == DT_UNKNOWN) { /* a file system that does not tell */
                if (fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) < 0)
                        return errno == ENOENT ? 0 : -1; /* removed since it was listed */
                type = status.st_mode & S_IFMT;
        }
        *entry = (struct ct_walked){.bytes = (uint32_t)bytes, .mode = type};
        char *text = (char *)(entry + 1);
        memset((uint8_t *)entry + bytes - 8, 0, 8); /* records are compared as bytes */
        memcpy(text, path, path_bytes);
        memcpy(text + path_bytes, "/", between);
        memcpy(text + path_bytes + between, name, name_bytes);
        entry->path_bytes = (uint32_t)(path_bytes + between + name_bytes - 1);
        walk->used += bytes;
        return 0;
}

/* Removed, replaced or mounted over since it was listed. */
static int is_gone(int error)
{
        return error == ENOENT || error == ENOTDIR || error == ELOOP || error == EXDEV;
}

static int open_listed(int root, const char *path)
{
        struct open_how how = {
                .flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC,
                .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV,
        };
        return (int)syscall(SYS_openat2, root, path[0] == 0 ? "." : path, &how, sizeof how);
}

/* The path is given by its place in the records, which do not move. */
static int list(struct walk *walk, int root, const char *path, size_t path_bytes)
{
        _Alignas(struct dirent64) char names[NAMES_BYTES];
        CLOSED int directory = open_listed(root, path);
        if (directory < 0)
                return is_gone(errno) ? 0 : -1;
        for (;;) {
                ssize_t filled = getdents64(directory, names, sizeof names);
                if (filled <= 0)
                        return filled < 0 && errno != ENOENT ? -1 : 0;
                for (ssize_t at = 0; at < filled;) {
                        const struct dirent64 *entry = (const struct dirent64 *)(names + at);
                        at += entry->d_reclen;
                        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
                                continue;
                        if (record(walk, directory, path, path_bytes, entry) < 0)
                                return -1;
                }
        }
}

int64_t ct_walk(int32_t root, uint8_t *entries, int64_t size)
{
        struct walk walk = {.entries = entries, .size = size};
        if (list(&walk, root, "", 0) < 0)
                return -errno;
        for (int64_t at = 0; at < walk.used;) {
                const struct ct_walked *entry = (const struct ct_walked *)(entries + at);
                at += entry->bytes;
                if (S_ISDIR(entry->mode) && list(&walk, root, (const char *)(entry + 1), entry->path_bytes) < 0)
                        return -errno;
        }
        return walk.used;
}

/* The directory that an entry is in, open as long as the next ones are in it as well. */
struct parent {
        int fd;
        size_t bytes;                  /* of its path, which is the beginning of theirs */
        const char *path;
};

static int enter_parent(struct parent *parent, int root, const char *path, size_t bytes)
{
        char copy[PATH_MAX];
        if (parent->path != NULL && parent->bytes == bytes && memcmp(parent->path, path, bytes) == 0)
                return 0;
        if (bytes >= sizeof copy) {
                errno = ENAMETOOLONG;
                return -1;
        }
        memcpy(copy, path, bytes);
        copy[bytes] = 0;
        if (parent->fd >= 0)
                close(parent->fd);
        *parent = (struct parent){.fd = open_listed(root, copy), .bytes = bytes, .path = path};
        return parent->fd < 0 && !is_gone(errno) ? -1 : 0;
}

/* 1: it is gone. */
static int look(struct ct_walked *entry, struct parent *parent, int root, dev_t device)
{
        struct stat found;
        const char *path = (const char *)(entry + 1), *slash = memrchr(path, '/', entry->path_bytes);
        if (enter_parent(parent, root, path, slash == NULL ? 0 : (size_t)(slash - path)) < 0)
                return -1;
        entry->mode = 0;
        if (parent->fd < 0)
                return 1;
        if (fstatat(parent->fd, slash == NULL ? path : slash + 1, &found, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) < 0)
                return errno == ENOENT ? 1 : -1;
        entry->mode = found.st_mode;
        entry->inode = found.st_ino;
        entry->ctime_s = found.st_ctim.tv_sec;
        entry->ctime_ns = (uint32_t)found.st_ctim.tv_nsec;
        entry->foreign = found.st_dev != device;
        return 0;
}

int64_t ct_look(int32_t root, uint8_t *entries, int64_t used, int32_t part, int32_t parts)
{
        struct stat found;
        struct parent parent = {.fd = -1};
        int64_t gone = 0, from = used * part / parts, to = used * (part + 1) / parts;
        if (fstat(root, &found) < 0)
                return -errno;
        for (int64_t at = 0; at < to;) {
                struct ct_walked *entry = (struct ct_walked *)(entries + at);
                int r = at < from ? 0 : look(entry, &parent, root, found.st_dev);
                at += entry->bytes;
                gone = r < 0 ? -errno : gone + r;
                if (r < 0)
                        break;
        }
        if (parent.fd >= 0)
                close(parent.fd);
        return gone;
}

int64_t ct_clone(int32_t from, int32_t to)
{
        return ioctl(to, FICLONE, from) < 0 ? -errno : 0;
}

int64_t ct_spread(int32_t directory)
{
        int flags;
        if (ioctl(directory, FS_IOC_GETFLAGS, &flags) < 0)
                return -errno;
        flags |= FS_TOPDIR_FL;
        return ioctl(directory, FS_IOC_SETFLAGS, &flags) < 0 ? -errno : 0;
}

static int64_t subvolume(int directory, unsigned long request, const char *name)
{
        struct btrfs_ioctl_vol_args args = {0};
        if (strlen(name) >= sizeof args.name)
                return -ENAMETOOLONG;
        strcpy(args.name, name);
        return ioctl(directory, request, &args) < 0 ? -errno : 0;
}

int64_t ct_subvolume_make(int32_t directory, const char *name)
{
        return subvolume(directory, BTRFS_IOC_SUBVOL_CREATE, name);
}

int64_t ct_subvolume_remove(int32_t directory, const char *name)
{
        return subvolume(directory, BTRFS_IOC_SNAP_DESTROY, name);
}

int64_t ct_subvolume_copy(int32_t directory, const char *name, int32_t subvolume)
{
        struct btrfs_ioctl_vol_args_v2 args = {.fd = subvolume};
        if (strlen(name) >= sizeof args.name)
                return -ENAMETOOLONG;
        strcpy(args.name, name);
        return ioctl(directory, BTRFS_IOC_SNAP_CREATE_V2, &args) < 0 ? -errno : 0;
}
