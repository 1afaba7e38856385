/* File operations below a directory descriptor that cannot leave it, whatever symlinks lie there, and the few others
 * that Node lacks. library.h has the contract. */
#include "library.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#define CLOSED __attribute__((cleanup(close_keeping_errno)))
#define NAME_BYTES 256
#define PROC_FD_BYTES 32

static void close_keeping_errno(const int *fd)
{
        int saved = errno;
        if (*fd >= 0)
                close(*fd);
        errno = saved;
}

/* openat2 answers EAGAIN when a rename or mount elsewhere raced with a ".." of ours (openat2(2), RESOLVE_IN_ROOT). */
static int open_confined(int root, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve)
{
        struct open_how how = {
                .flags = flags | O_CLOEXEC,
                .mode = mode,
                .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | resolve,
        };
        int fd, tries = 32;
        do
                fd = (int)syscall(SYS_openat2, root, *path == '\0' ? "." : path, &how, sizeof how);
        while (fd < 0 && (errno == EAGAIN || errno == EINTR) && --tries > 0);
        return fd;
}

/* The file itself, symlinks included, without opening it: devices and fifos do not notice. */
static int open_node(int root, const char *path)
{
        return open_confined(root, path, O_PATH | O_NOFOLLOW, 0, 0);
}

/* The directory that holds the last component of path, which is copied to name. */
static int open_parent(int root, const char *path, char name[NAME_BYTES])
{
        char parent[PATH_MAX];
        size_t length = strnlen(path, PATH_MAX);
        while (length > 0 && path[length - 1] == '/')
                length--;
        size_t start = length;
        while (start > 0 && path[start - 1] != '/')
                start--;
        if (length >= PATH_MAX || length - start >= NAME_BYTES) {
                errno = ENAMETOOLONG;
                return -1;
        }
        memcpy(name, path + start, length - start);
        name[length - start] = '\0';
        if (name[0] == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
                errno = EINVAL;
                return -1;
        }
        memcpy(parent, path, start);
        parent[start] = '\0';
        return open_confined(root, parent, O_PATH | O_DIRECTORY, 0, 0);
}

/* Calls that know neither O_PATH descriptors nor AT_EMPTY_PATH reach the file through its magic link, once. */
static void proc_path(char path[PROC_FD_BYTES], int fd)
{
        snprintf(path, PROC_FD_BYTES, "/proc/self/fd/%d", fd);
}

static int chmod_node(int node, uint32_t mode)
{
        char path[PROC_FD_BYTES];
        proc_path(path, node);
        return chmod(path, mode);
}

int64_t ct_open(int32_t root, const char *path, int32_t flags, uint32_t mode)
{
        int creates = (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE;
        return ct_result(open_confined(root, path, (uint32_t)flags, creates ? mode : 0, 0));
}

/* Looked at before it is opened, and opened by way of what was looked at. */
int64_t ct_read_file(int32_t root, const char *path, void *bytes, int64_t size)
{
        char name[PROC_FD_BYTES];
        struct stat st;
        CLOSED int place = open_confined(root, path, O_PATH, 0, 0);
        if (place < 0 || fstat(place, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode))
                return -EINVAL;
        snprintf(name, sizeof name, "/proc/self/fd/%d", place);
        CLOSED int file = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        if (file < 0)
                return -errno;
        for (int64_t done = 0;;) {
                char more;
                ssize_t n = done < size ? read(file, (char *)bytes + done, (size_t)(size - done)) : read(file, &more, 1);
                if (n < 0)
                        return -errno;
                if (n == 0)
                        return done;
                if (done == size)
                        return -EFBIG;
                done += n;
        }
}

/* Exactly this mode, whatever the umask. */
static int make_directory(int root, const char *path, uint32_t mode)
{
        char name[NAME_BYTES];
        CLOSED int parent = open_parent(root, path, name);
        if (parent < 0 || mkdirat(parent, name, 0700) < 0)
                return -1;
        CLOSED int made = openat(parent, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        return made < 0 ? -1 : chmod_node(made, mode);
}

int64_t ct_mkdir(int32_t root, const char *path, uint32_t mode)
{
        return ct_result(make_directory(root, path, mode));
}

/* As `mkdir -p`: what exists stays as it is, what is missing gets this mode. */
int64_t ct_mkdirs(int32_t root, const char *path, uint32_t mode)
{
        char prefix[PATH_MAX];
        size_t length = strnlen(path, PATH_MAX);
        if (length == PATH_MAX)
                return -ENAMETOOLONG;
        for (size_t i = 1; i <= length; i++) {
                if (path[i - 1] == '/' || (path[i] != '/' && path[i] != '\0'))
                        continue;
                memcpy(prefix, path, i);
                prefix[i] = '\0';
                CLOSED int existing = open_confined(root, prefix, O_PATH | O_DIRECTORY, 0, 0);
                if (existing < 0 && (errno != ENOENT || (make_directory(root, prefix, mode) < 0 && errno != EEXIST)))
                        return -errno;
        }
        CLOSED int made = open_confined(root, path, O_PATH | O_DIRECTORY, 0, 0);
        return made < 0 ? -errno : 0;
}

int64_t ct_symlink(int32_t root, const char *path, const char *target)
{
        char name[NAME_BYTES];
        CLOSED int parent = open_parent(root, path, name);
        return parent < 0 ? -errno : ct_result(symlinkat(target, parent, name));
}

int64_t ct_link(int32_t root, const char *existing, const char *path)
{
        char old_name[NAME_BYTES], new_name[NAME_BYTES];
        CLOSED int old_parent = open_parent(root, existing, old_name);
        if (old_parent < 0)
                return -errno;
        CLOSED int new_parent = open_parent(root, path, new_name);
        return new_parent < 0 ? -errno : ct_result(linkat(old_parent, old_name, new_parent, new_name, 0));
}

int64_t ct_mknod(int32_t root, const char *path, uint32_t mode, uint32_t major_number, uint32_t minor_number)
{
        char name[NAME_BYTES];
        CLOSED int parent = open_parent(root, path, name);
        if (parent < 0 || mknodat(parent, name, mode & ~07777u, makedev(major_number, minor_number)) < 0)
                return -errno;
        CLOSED int node = openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        return node < 0 ? -errno : ct_result(chmod_node(node, mode & 07777));
}

static int64_t remove_name(int32_t root, const char *path, int flags)
{
        char name[NAME_BYTES];
        CLOSED int parent = open_parent(root, path, name);
        return parent < 0 ? -errno : ct_result(unlinkat(parent, name, flags));
}

int64_t ct_unlink(int32_t root, const char *path)
{
        return remove_name(root, path, 0);
}

int64_t ct_rmdir(int32_t root, const char *path)
{
        return remove_name(root, path, AT_REMOVEDIR);
}

/* How deep a tree is removed by recursion; a directory further down is first moved to the top, so that neither the
 * stack (256 KiB where the FFI library calls us on a thread) nor the descriptors are spent on trees made to do that. */
#define REMOVE_DEPTH 32

struct removal {
        int top;                /* the tree's own directory */
        unsigned moved;         /* names the directories moved there */
};

static int open_for_removal(int parent, const char *name)
{
        struct stat found;
        CLOSED int node = open_confined(parent, name, O_PATH | O_DIRECTORY | O_NOFOLLOW, 0, RESOLVE_NO_XDEV);
        if (node < 0 || fstat(node, &found) < 0)
                return -1;
        if ((found.st_mode & 0700) != 0700) /* an ordinary user's own directory may be closed to its owner */
                chmod_node(node, 0700);
        return openat(node, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int empty_directory(struct removal *removal, int directory, unsigned depth);

static int remove_entry(struct removal *removal, int parent, const char *name, unsigned depth)
{
        if (unlinkat(parent, name, 0) == 0 || errno == ENOENT)
                return 0;
        if (errno != EISDIR && errno != EPERM) /* unlink(2): EISDIR for directories on Linux, EPERM by POSIX */
                return -1;
        if (unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
                return 0;
        if (errno != ENOTEMPTY && errno != EEXIST)
                return -1;
        if (depth == REMOVE_DEPTH) {
                char moved[NAME_BYTES];
                snprintf(moved, sizeof moved, ".removing-%u", removal->moved++);
                return renameat2(parent, name, removal->top, moved, RENAME_NOREPLACE) == 0 || errno == EEXIST ? 0 : -1;
        }
        CLOSED int directory = open_for_removal(parent, name);
        if (directory < 0)
                return errno == ENOENT ? 0 : -1;       /* somebody else removes the same tree */
        if (empty_directory(removal, directory, depth + 1) < 0)
                return -1;
        return unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT ? 0 : -1;
}

/* Reads the directory anew until it is empty: directories moved to the top, or files made meanwhile, turn up then. */
static int empty_directory(struct removal *removal, int directory, unsigned depth)
{
        uint8_t entries[1024];
        for (;;) {
                unsigned removed = 0;
                if (lseek(directory, 0, SEEK_SET) < 0)
                        return -1;
                for (;;) {
                        int64_t used = ct_readdir(directory, entries, sizeof entries);
                        if (used == -ENOENT)           /* getdents(2): it has been removed */
                                return 0;
                        if (used < 0) {
                                errno = (int)-used;
                                return -1;
                        }
                        if (used == 0)
                                break;
                        for (int64_t at = 0; at < used; at += 2 + (int64_t)strlen((char *)entries + at + 1), removed++)
                                if (remove_entry(removal, directory, (char *)entries + at + 1, depth) < 0)
                                        return -1;
                }
                if (removed == 0)
                        return 0;
        }
}

/* As `rm -rf --one-file-system`, by descriptors, never following a symlink. A mount point inside: EXDEV or EBUSY. */
int64_t ct_remove_tree(int32_t root, const char *path)
{
        char name[NAME_BYTES];
        CLOSED int parent = open_parent(root, path, name);
        if (parent < 0)
                return errno == ENOENT ? 0 : -errno;
        if (unlinkat(parent, name, 0) == 0 || errno == ENOENT)
                return 0;
        if (errno != EISDIR && errno != EPERM)
                return -errno;
        CLOSED int directory = open_for_removal(parent, name);
        if (directory < 0)
                return errno == ENOENT ? 0 : -errno;
        struct removal removal = {.top = directory};
        if (empty_directory(&removal, directory, 0) < 0)
                return -errno;
        return unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT ? 0 : -errno;
}

int64_t ct_rename(int32_t root, const char *from, const char *to, uint32_t flags)
{
        char old_name[NAME_BYTES], new_name[NAME_BYTES];
        CLOSED int old_parent = open_parent(root, from, old_name);
        if (old_parent < 0)
                return -errno;
        CLOSED int new_parent = open_parent(root, to, new_name);
        return new_parent < 0 ? -errno : ct_result(renameat2(old_parent, old_name, new_parent, new_name, flags));
}

int64_t ct_chown(int32_t root, const char *path, uint32_t uid, uint32_t gid)
{
        CLOSED int node = open_node(root, path);
        return node < 0 ? -errno : ct_result(fchownat(node, "", uid, gid, AT_EMPTY_PATH));
}

/* A symlink has no mode of its own: EOPNOTSUPP. */
int64_t ct_chmod(int32_t root, const char *path, uint32_t mode)
{
        CLOSED int node = open_node(root, path);
        return node < 0 ? -errno : ct_result(chmod_node(node, mode));
}

int64_t ct_utimens(int32_t root, const char *path, int64_t atime_s, int64_t atime_ns, int64_t mtime_s, int64_t mtime_ns)
{
        struct timespec times[2] = {{atime_s, atime_ns}, {mtime_s, mtime_ns}};
        CLOSED int node = open_node(root, path);
        /* By the raw call: glibc's wrapper refuses AT_EMPTY_PATH in some versions. Linux 5.8. */
        return node < 0 ? -errno : ct_result(syscall(SYS_utimensat, node, "", times, AT_EMPTY_PATH));
}

int64_t ct_getxattr(int32_t root, const char *path, const char *name, void *value, int64_t size)
{
        char link[PROC_FD_BYTES];
        CLOSED int node = open_node(root, path);
        proc_path(link, node);
        return node < 0 ? -errno : ct_result(getxattr(link, name, value, (size_t)size));
}

int64_t ct_setxattr(int32_t root, const char *path, const char *name, const void *value, int64_t size)
{
        char link[PROC_FD_BYTES];
        CLOSED int node = open_node(root, path);
        proc_path(link, node);
        return node < 0 ? -errno : ct_result(setxattr(link, name, value, (size_t)size, 0));
}

int64_t ct_removexattr(int32_t root, const char *path, const char *name)
{
        char link[PROC_FD_BYTES];
        CLOSED int node = open_node(root, path);
        proc_path(link, node);
        return node < 0 ? -errno : ct_result(removexattr(link, name));
}

/* Names, each ending in a NUL. Size 0 asks for the bytes needed. */
int64_t ct_listxattr(int32_t root, const char *path, char *names, int64_t size)
{
        char link[PROC_FD_BYTES];
        CLOSED int node = open_node(root, path);
        proc_path(link, node);
        return node < 0 ? -errno : ct_result(listxattr(link, names, (size_t)size));
}

int64_t ct_stat(int32_t root, const char *path, struct ct_file *file)
{
        struct stat found;
        CLOSED int node = open_node(root, path);
        if (node < 0 || fstat(node, &found) < 0)
                return -errno;
        *file = (struct ct_file){
                .device = found.st_dev,
                .inode = found.st_ino,
                .size = (uint64_t)found.st_size,
                .blocks = (uint64_t)found.st_blocks,
                .mode = found.st_mode,
                .links = (uint32_t)found.st_nlink,
                .uid = found.st_uid,
                .gid = found.st_gid,
                .device_major = major(found.st_rdev),
                .device_minor = minor(found.st_rdev),
                .atime_s = found.st_atim.tv_sec,
                .mtime_s = found.st_mtim.tv_sec,
                .atime_ns = (uint32_t)found.st_atim.tv_nsec,
                .mtime_ns = (uint32_t)found.st_mtim.tv_nsec,
                .ctime_s = found.st_ctim.tv_sec,
                .ctime_ns = (uint32_t)found.st_ctim.tv_nsec,
        };
        return 0;
}

/* The number of bytes of the target, without a NUL. */
int64_t ct_readlink(int32_t root, const char *path, char *target, int64_t size)
{
        CLOSED int node = open_node(root, path);
        return node < 0 ? -errno : ct_result(readlinkat(node, "", target, (size_t)size));
}

/* Fills entries with as many as fit: a byte of DT_* type, then the name and its NUL; "." and ".." are left out. The
 * number of bytes used; 0 at the end. The kernel's records are longer than ours: they are packed where they lie. */
int64_t ct_readdir(int32_t directory, uint8_t *entries, int64_t size)
{
        for (;;) {
                int64_t filled = syscall(SYS_getdents64, directory, entries, (size_t)size);
                if (filled <= 0)
                        return ct_result(filled);
                int64_t used = 0;
                for (int64_t at = 0; at < filled;) {
                        struct dirent64 *entry = (struct dirent64 *)(entries + at);
                        at += entry->d_reclen;
                        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
                                continue;
                        size_t length = strlen(entry->d_name) + 1;
                        uint8_t type = entry->d_type;
                        memmove(entries + used + 1, entry->d_name, length);
                        entries[used] = type;
                        used += 1 + (int64_t)length;
                }
                if (used > 0)
                        return used;
        }
}

/* By sendfile(2): copy_file_range(2) refuses some pairs of file systems. */
static int copy_extent(int from, int to, off_t start, off_t end)
{
        if (lseek(to, start, SEEK_SET) < 0)
                return -1;
        for (off_t at = start; at < end;) {
                ssize_t copied = sendfile(to, from, &at, (size_t)(end - at)); /* at most 2 GiB a call */
                if (copied < 0 && errno != EINTR)
                        return -1;
                if (copied == 0)
                        return 0; /* the file shrank meanwhile */
        }
        return 0;
}

/* Copies a regular file's content into an empty one: shared blocks where the file system can, holes kept. */
int64_t ct_copy(int32_t from, int32_t to)
{
        struct stat source;
        if (ioctl(to, FICLONE, from) == 0)
                return 0;
        if (fstat(from, &source) < 0 || ftruncate(to, source.st_size) < 0)
                return -errno;
        for (off_t hole = 0;;) {
                off_t data = lseek(from, hole, SEEK_DATA);
                if (data < 0)
                        return errno == ENXIO ? 0 : -errno; /* only a hole is left */
                hole = lseek(from, data, SEEK_HOLE);
                if (hole < 0 || copy_extent(from, to, data, hole) < 0)
                        return -errno;
        }
}

int64_t ct_next_data(int32_t file, int64_t from, int64_t *range)
{
        off_t data = lseek(file, from, SEEK_DATA);
        if (data < 0)
                return errno == ENXIO ? 0 : -errno;
        off_t hole = lseek(file, data, SEEK_HOLE);
        if (hole < 0)
                return -errno;
        range[0] = data;
        range[1] = hole;
        return 1;
}

/* LOCK_EX, LOCK_SH or LOCK_UN; EWOULDBLOCK at once when another process holds it. */
int64_t ct_flock(int32_t file, int32_t operation)
{
        return ct_result(flock(file, operation | LOCK_NB));
}

/* The magic number of the file system (statfs(2)): 0x6969 is NFS. */
int64_t ct_filesystem(int32_t file)
{
        struct statfs found;
        return fstatfs(file, &found) < 0 ? -errno : (int64_t)(uint32_t)found.f_type;
}

/* Writes what is dirty of the file system that holds an open file. */
int64_t ct_syncfs(int32_t file)
{
        return ct_result(syncfs(file));
}

/* A file of ours alone, for its owner: whoever reads it sees all of it or nothing. */
int64_t ct_write_whole(const char *path, const void *bytes, int64_t size)
{
        char beside[4096];
        if (snprintf(beside, sizeof beside, "%s~", path) >= (int)sizeof beside)
                return -ENAMETOOLONG;
        int file = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (file < 0)
                return -errno;
        ssize_t written = write(file, bytes, (size_t)size);
        int64_t result = written < 0 ? -errno : written < size ? -ENOSPC : 0;
        close(file);
        if (result == 0 && rename(beside, path) < 0)
                result = -errno;
        if (result < 0)
                unlink(beside);
        return result;
}

/* flags of pipe2(2); O_CLOEXEC always. */
int64_t ct_pipe(int32_t *ends, int32_t flags)
{
        return ct_result(pipe2(ends, flags | O_CLOEXEC));
}
