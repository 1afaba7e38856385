/* Many files in one call: what archives of trees are made of. library.h has the contract and the shapes. */
#include "library.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <unistd.h>

#define CLOSED __attribute__((cleanup(close_keeping_errno)))
#define HOLE_BYTES 4096

static void close_keeping_errno(const int *fd)
{
        int saved = errno;
        if (*fd >= 0)
                close(*fd);
        errno = saved;
}

/* The directory that the last entry was made in: archives have the files of a directory one after the other. */
struct place {
        int fd;
        size_t length;
        char path[PATH_MAX];
};

static void close_place(const struct place *place)
{
        close_keeping_errno(&place->fd);
}

/* A directory below root, without a symlink on the way: ELOOP. */
static int enter(struct place *place, int root, const char *path, size_t length)
{
        struct open_how how = {
                .flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
                .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV,
        };
        if (place->fd >= 0 && place->length == length && memcmp(place->path, path, length) == 0)
                return 0;
        if (length >= PATH_MAX) {
                errno = ENAMETOOLONG;
                return -1;
        }
        close_keeping_errno(&place->fd);
        memcpy(place->path, path, length);
        place->path[length] = '\0';
        place->length = length;
        place->fd = (int)syscall(SYS_openat2, root, length == 0 ? "." : place->path, &how, sizeof how);
        return place->fd < 0 ? -1 : 0;
}

static int is_zero(const char *bytes, size_t count)
{
        return bytes[0] == 0 && memcmp(bytes, bytes + 1, count - 1) == 0;
}

/* Whole blocks of zeros stay holes, as they were where the archive was made or as they might have been. */
static int write_content(int file, const char *bytes, size_t count)
{
        size_t at = 0;
        for (size_t end; at < count; at = end) {
                size_t block = count - at < HOLE_BYTES ? count - at : HOLE_BYTES;
                int hole = block == HOLE_BYTES && is_zero(bytes + at, block);
                end = at + block;
                while (end < count) {
                        block = count - end < HOLE_BYTES ? count - end : HOLE_BYTES;
                        if (hole != (block == HOLE_BYTES && is_zero(bytes + end, block)))
                                break;
                        end += block;
                }
                for (size_t done = at; !hole && done < end;) {
                        ssize_t n = pwrite(file, bytes + done, end - done, (off_t)done);
                        if (n < 0 && errno != EINTR)
                                return -1;
                        done += n < 0 ? 0 : (size_t)n;
                }
                if (hole && end == count && ftruncate(file, (off_t)count) < 0)
                        return -1;
        }
        return 0;
}

/* What the new file has already by its making costs nothing: each change is one of the inode on disk. */
static int own_and_permit(int file, const struct ct_new_entry *entry)
{
        struct stat made;
        mode_t mode = entry->mode & 07777;
        if (fstat(file, &made) < 0)
                return -1;
        int owned = entry->uid == UINT32_MAX || (entry->uid == made.st_uid && entry->gid == made.st_gid);
        if (!owned && fchown(file, entry->uid, entry->gid) < 0)
                return -1;
        return (made.st_mode & 07777) == mode ? 0 : fchmod(file, mode);
}

static int make_file(int parent, const char *name, const struct ct_new_entry *entry, const char *content)
{
        int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
        CLOSED int file = openat(parent, name, flags, entry->mode & 0777); /* set-id bits: when the owner is right */
        struct timespec times[2] = {{entry->mtime_s, entry->mtime_ns}, {entry->mtime_s, entry->mtime_ns}};
        if (file < 0 || write_content(file, content, entry->content_bytes) < 0)
                return -1;
        return own_and_permit(file, entry) < 0 ? -1 : futimens(file, times);
}

static int make_symlink(int parent, const char *name, const struct ct_new_entry *entry, const char *target)
{
        struct timespec times[2] = {{entry->mtime_s, entry->mtime_ns}, {entry->mtime_s, entry->mtime_ns}};
        if (symlinkat(target, parent, name) < 0)
                return -1;
        if (entry->uid != UINT32_MAX && fchownat(parent, name, entry->uid, entry->gid, AT_SYMLINK_NOFOLLOW) < 0)
                return -1;
        return utimensat(parent, name, times, AT_SYMLINK_NOFOLLOW);
}

/* Its mode and time are the caller's to set when it is filled. */
static int make_directory(int parent, const char *name, const struct ct_new_entry *entry)
{
        if (mkdirat(parent, name, 0700) < 0)
                return -1;
        return entry->uid == UINT32_MAX ? 0 : fchownat(parent, name, entry->uid, entry->gid, AT_SYMLINK_NOFOLLOW);
}

static int make_entry(struct place *place, int root, const struct ct_new_entry *entry)
{
        const char *path = (const char *)(entry + 1);
        const char *content = path + entry->path_bytes;
        const char *slash = strrchr(path, '/');
        const char *name = slash == NULL ? path : slash + 1;
        if (enter(place, root, path, slash == NULL ? 0 : (size_t)(slash - path)) < 0)
                return -1;
        switch (entry->mode & S_IFMT) {
        case S_IFREG: return make_file(place->fd, name, entry, content);
        case S_IFLNK: return make_symlink(place->fd, name, entry, content);
        case S_IFDIR: return make_directory(place->fd, name, entry);
        default: errno = EINVAL; return -1;
        }
}

int64_t ct_make_entries(int32_t root, const uint8_t *entries, int64_t bytes, int64_t *done)
{
        __attribute__((cleanup(close_place))) struct place place = {.fd = -1};
        for (*done = 0; *done < bytes;) {
                const struct ct_new_entry *entry = (const struct ct_new_entry *)(entries + *done);
                if (make_entry(&place, root, entry) < 0)
                        return -errno;
                *done += entry->bytes;
        }
        return 0;
}

static void describe(struct ct_file *file, const struct stat *found)
{
        *file = (struct ct_file){
                .device = found->st_dev,
                .inode = found->st_ino,
                .size = (uint64_t)found->st_size,
                .blocks = (uint64_t)found->st_blocks,
                .mode = found->st_mode,
                .links = (uint32_t)found->st_nlink,
                .uid = found->st_uid,
                .gid = found->st_gid,
                .device_major = major(found->st_rdev),
                .device_minor = minor(found->st_rdev),
                .atime_s = found->st_atim.tv_sec,
                .mtime_s = found->st_mtim.tv_sec,
                .atime_ns = (uint32_t)found->st_atim.tv_nsec,
                .mtime_ns = (uint32_t)found->st_mtim.tv_nsec,
                .ctime_s = found->st_ctim.tv_sec,
                .ctime_ns = (uint32_t)found->st_ctim.tv_nsec,
        };
}

/* Names that are still to come: files whose content is not in memory are asked for before it is their turn. */
struct coming {
        int directory;
        int64_t content_most;
        const char *next, *end;
        const char *asked;                      /* up to here they were asked for */
};

/* What lies there, looked at before anything is opened: a device or fifo does not notice. */
static int look_at(int directory, const char *name, struct stat *found, char link[32])
{
        int place = openat(directory, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        if (place >= 0 && fstat(place, found) < 0) {
                close_keeping_errno(&place);
                return -1;
        }
        snprintf(link, 32, "/proc/self/fd/%d", place);
        return place;
}

static int has_content(const struct stat *found, int64_t content_most)
{
        return S_ISREG(found->st_mode) && found->st_size > 0 && found->st_size <= content_most;
}

/* posix_fadvise(2): the kernel begins to read, and does not wait. What cannot be opened says so when it is its turn. */
static void ask_for_coming(struct coming *coming)
{
        char link[32];
        struct stat found;
        if (coming->next < coming->asked)
                return;
        coming->asked = coming->next;
        for (int count = 0; coming->asked < coming->end && count < CT_ASKED_AHEAD; count++) {
                CLOSED int place = look_at(coming->directory, coming->asked, &found, link);
                CLOSED int file = place < 0 || !has_content(&found, coming->content_most) ? -1 : open(link, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
                if (file >= 0)
                        posix_fadvise(file, 0, found.st_size, POSIX_FADV_WILLNEED);
                coming->asked += strlen(coming->asked) + 1;
        }
}

/* The content that a file had when it was looked at: as long as its status said, whatever became of it since. */
static int64_t read_content(const char *link, const struct stat *found, char *content, uint32_t *changed, struct coming *coming)
{
        struct stat now;
        struct iovec part = {content, (size_t)found->st_size};
        CLOSED int file = open(link, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        ssize_t count = file < 0 ? -1 : preadv2(file, &part, 1, 0, RWF_NOWAIT);
        if (file >= 0 && count < found->st_size) { /* it has to be read, has become shorter, or its file system always waits */
                ask_for_coming(coming);
                count = pread(file, content, (size_t)found->st_size, 0);
        }
        if (count < 0 || fstat(file, &now) < 0)
                return -errno;
        memset(content + count, 0, (size_t)(found->st_size - count));
        *changed = now.st_size != found->st_size || now.st_ctim.tv_sec != found->st_ctim.tv_sec || now.st_ctim.tv_nsec != found->st_ctim.tv_nsec;
        return found->st_size;
}

static int64_t read_entry(const char *name, struct ct_found_entry *entry, int64_t room, struct coming *coming)
{
        char link[32];
        struct stat found;
        char *rest = (char *)(entry + 1);
        int64_t left = room - (int64_t)sizeof *entry;
        if (left < CT_FOUND_BYTES)
                return -ENOBUFS;
        memset(entry, 0, sizeof *entry);
        if (coming->content_most < 0) {
                if (fstatat(coming->directory, name, &found, AT_SYMLINK_NOFOLLOW) < 0)
                        return -errno;
                describe(&entry->file, &found);
                return entry->bytes = sizeof *entry;
        }
        CLOSED int place = look_at(coming->directory, name, &found, link);
        if (place < 0)
                return -errno;
        describe(&entry->file, &found);
        ssize_t names = listxattr(link, rest, (size_t)left);
        if (names < 0 && errno != ENOTSUP)
                return errno == ERANGE ? -ENOBUFS : -errno;
        entry->xattr_bytes = names < 0 ? 0 : (uint32_t)names;
        rest += entry->xattr_bytes;
        left -= entry->xattr_bytes;
        int64_t content = 0;
        if (S_ISLNK(found.st_mode)) {
                if (left < PATH_MAX)
                        return -ENOBUFS;
                content = ct_result(readlinkat(place, "", rest, PATH_MAX));
        } else if (has_content(&found, coming->content_most)) {
                if (left < found.st_size)
                        return -ENOBUFS;
                content = read_content(link, &found, rest, &entry->changed, coming);
        }
        if (content < 0)
                return content;
        entry->content_bytes = (uint32_t)content;
        entry->bytes = (uint32_t)((sizeof *entry + entry->xattr_bytes + entry->content_bytes + 7) & ~7ul);
        return entry->bytes;
}

int64_t ct_read_entries(int32_t directory, const char *names, int64_t names_bytes, int64_t content_most, uint8_t *entries, int64_t size, int64_t *read)
{
        int64_t used = 0;
        struct coming coming = {directory, content_most, names, names + names_bytes, names};
        for (*read = 0; *read < names_bytes;) {
                const char *name = names + *read;
                struct ct_found_entry *entry = (struct ct_found_entry *)(entries + used);
                coming.next = name + strlen(name) + 1;
                int64_t bytes = read_entry(name, entry, size - used, &coming);
                if (bytes == -ENOBUFS && used > 0)
                        return used;
                if (bytes == -ENOENT) { /* removed since it was listed: a record without a mode */
                        memset(entry, 0, sizeof *entry);
                        bytes = entry->bytes = sizeof *entry;
                }
                if (bytes < 0)
                        return bytes;
                used += bytes;
                *read += (int64_t)strlen(name) + 1;
        }
        return used;
}
