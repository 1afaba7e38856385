/* All entries of a tree in one call: what is compared to learn what has changed since. library.h has the contract. */
#include "library.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
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
        dev_t device;
};

static int record(struct walk *walk, int directory, const char *path, size_t path_bytes, const char *name)
{
        struct stat found;
        size_t name_bytes = strlen(name) + 1;
        size_t between = path_bytes > 0 ? 1 : 0;
        struct ct_walked *entry = (struct ct_walked *)(walk->entries + walk->used);
        int64_t bytes = (int64_t)((sizeof *entry + path_bytes + between + name_bytes + 7) & ~7ul);
        if (walk->size - walk->used < bytes) {
                errno = ENOBUFS;
                return -1;
        }
        if (fstatat(directory, name, &found, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) < 0)
                return errno == ENOENT ? 0 : -1; /* removed since it was listed */
        *entry = (struct ct_walked){
                .bytes = (uint32_t)bytes,
                .mode = found.st_mode,
                .inode = found.st_ino,
                .ctime_s = found.st_ctim.tv_sec,
                .ctime_ns = (uint32_t)found.st_ctim.tv_nsec,
                .foreign = found.st_dev != walk->device,
        };
        char *text = (char *)(entry + 1);
        memcpy(text, path, path_bytes);
        memcpy(text + path_bytes, "/", between);
        memcpy(text + path_bytes + between, name, name_bytes);
        entry->path_bytes = (uint32_t)(path_bytes + between + name_bytes - 1);
        walk->used += bytes;
        return 0;
}

/* The path is given by its place in the records, which do not move. */
static int list(struct walk *walk, int root, const char *path, size_t path_bytes)
{
        _Alignas(struct dirent64) char names[NAMES_BYTES];
        struct open_how how = {
                .flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC,
                .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV,
        };
        CLOSED int directory = (int)syscall(SYS_openat2, root, path_bytes == 0 ? "." : path, &how, sizeof how);
        if (directory < 0) /* removed, replaced or mounted over since it was listed */
                return errno == ENOENT || errno == ENOTDIR || errno == ELOOP || errno == EXDEV ? 0 : -1;
        for (;;) {
                ssize_t filled = getdents64(directory, names, sizeof names);
                if (filled <= 0)
                        return filled < 0 && errno != ENOENT ? -1 : 0;
                for (ssize_t at = 0; at < filled;) {
                        const struct dirent64 *entry = (const struct dirent64 *)(names + at);
                        at += entry->d_reclen;
                        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
                                continue;
                        if (record(walk, directory, path, path_bytes, entry->d_name) < 0)
                                return -1;
                }
        }
}

int64_t ct_walk(int32_t root, uint8_t *entries, int64_t size)
{
        struct stat found;
        struct walk walk = {.entries = entries, .size = size};
        if (fstat(root, &found) < 0)
                return -errno;
        walk.device = found.st_dev;
        if (list(&walk, root, "", 0) < 0)
                return -errno;
        for (int64_t at = 0; at < walk.used;) {
                const struct ct_walked *entry = (const struct ct_walked *)(entries + at);
                at += entry->bytes;
                if (S_ISDIR(entry->mode) && !entry->foreign && list(&walk, root, (const char *)(entry + 1), entry->path_bytes) < 0)
                        return -errno;
        }
        return walk.used;
}

int64_t ct_clone(int32_t from, int32_t to)
{
        return ioctl(to, FICLONE, from) < 0 ? -errno : 0;
}
