/* library.h: conventions of libcoracle.so, the part of the core that lives inside the caller's Node process.
 *
 * Every exported function returns a value >= 0 or -errno, never sets errno for its caller, keeps nothing after it
 * returned, and changes nothing that belongs to the whole process: no chdir, umask, setns or set-id call. Paths are
 * bytes ending in a NUL. Descriptors it returns are close-on-exec and belong to the caller. */
#ifndef CT_LIBRARY_H
#define CT_LIBRARY_H
#include <errno.h>
#include <stdint.h>

/* The version of this library's exports; CORE_ABI of src/binding/native.ts mirrors it: change both in one commit. The
 * launcher's protocol has a version of its own (abi.h): launchers and monitors outlive the library that started them. */
#define CT_LIBRARY_ABI 8

#define CT_EXPORT __attribute__((visibility("default")))

/* A libc-style result as this library returns it. */
static inline int64_t ct_result(int64_t result)
{
        return result < 0 ? -errno : result;
}

CT_EXPORT int32_t ct_abi(void);

/* File operations that Node lacks (library-files.c). A path is resolved below the directory descriptor `root` as if
 * root were "/": absolute symlinks and ".." cannot leave it, magic links are refused (openat2(2), RESOLVE_IN_ROOT and
 * RESOLVE_NO_MAGICLINKS). The last component is never followed, except by ct_open without O_NOFOLLOW. "" is root. */
struct ct_file {
        uint64_t device, inode, size, blocks;  /* blocks of 512 bytes */
        uint32_t mode, links, uid, gid, device_major, device_minor;
        int64_t atime_s, mtime_s;
        uint32_t atime_ns, mtime_ns;
        int64_t ctime_s;
        uint32_t ctime_ns, unused;
};
_Static_assert(sizeof(struct ct_file) == 96, "src/binding/files.ts decodes 96 bytes");

CT_EXPORT int64_t ct_open(int32_t root, const char *path, int32_t flags, uint32_t mode);
CT_EXPORT int64_t ct_mkdir(int32_t root, const char *path, uint32_t mode);
CT_EXPORT int64_t ct_mkdirs(int32_t root, const char *path, uint32_t mode);
CT_EXPORT int64_t ct_symlink(int32_t root, const char *path, const char *target);
CT_EXPORT int64_t ct_link(int32_t root, const char *existing, const char *path);
CT_EXPORT int64_t ct_mknod(int32_t root, const char *path, uint32_t mode, uint32_t major_number, uint32_t minor_number);
CT_EXPORT int64_t ct_unlink(int32_t root, const char *path);
CT_EXPORT int64_t ct_rmdir(int32_t root, const char *path);
CT_EXPORT int64_t ct_remove_tree(int32_t root, const char *path);
CT_EXPORT int64_t ct_rename(int32_t root, const char *from, const char *to, uint32_t flags);
CT_EXPORT int64_t ct_chown(int32_t root, const char *path, uint32_t uid, uint32_t gid);
CT_EXPORT int64_t ct_chmod(int32_t root, const char *path, uint32_t mode);
CT_EXPORT int64_t ct_utimens(int32_t root, const char *path, int64_t atime_s, int64_t atime_ns, int64_t mtime_s, int64_t mtime_ns);
CT_EXPORT int64_t ct_getxattr(int32_t root, const char *path, const char *name, void *value, int64_t size);
CT_EXPORT int64_t ct_setxattr(int32_t root, const char *path, const char *name, const void *value, int64_t size);
CT_EXPORT int64_t ct_removexattr(int32_t root, const char *path, const char *name);
CT_EXPORT int64_t ct_listxattr(int32_t root, const char *path, char *names, int64_t size);
CT_EXPORT int64_t ct_stat(int32_t root, const char *path, struct ct_file *file);
CT_EXPORT int64_t ct_readlink(int32_t root, const char *path, char *target, int64_t size);
CT_EXPORT int64_t ct_readdir(int32_t directory, uint8_t *entries, int64_t size);
CT_EXPORT int64_t ct_copy(int32_t from, int32_t to);
/* The next stretch of a file that is no hole, from an offset on: range[0] to range[1]. 0 when only a hole is left. */
CT_EXPORT int64_t ct_next_data(int32_t file, int64_t from, int64_t *range);
/* The bytes of a regular file; -EFBIG when there are more, -EINVAL for anything else: a fifo or a device is not opened. */
CT_EXPORT int64_t ct_read_file(int32_t root, const char *path, void *bytes, int64_t size);
CT_EXPORT int64_t ct_flock(int32_t file, int32_t operation);
CT_EXPORT int64_t ct_filesystem(int32_t file);
CT_EXPORT int64_t ct_syncfs(int32_t file);
CT_EXPORT int64_t ct_pipe(int32_t *ends, int32_t flags);
CT_EXPORT int64_t ct_write_whole(const char *path, const void *bytes, int64_t size);

/* Many files in one call (library-trees.c). Records follow each other, each a multiple of 8 bytes.
 *
 * ct_make_entries makes what is not there yet, in directories below root that no symlink leads to: EEXIST, ENOENT, ENOTDIR
 * or ELOOP otherwise. It stops at the first failure; done is then where that record begins, and all before it are made. */
struct ct_new_entry {
        uint32_t bytes;                        /* of the record: this, the path and its NUL, the content */
        uint32_t mode;                         /* S_IFREG, S_IFLNK or S_IFDIR, and the permissions of a file */
        uint32_t uid, gid;                     /* UINT32_MAX: whoever makes it */
        int64_t mtime_s;
        uint32_t mtime_ns;
        uint32_t path_bytes;                   /* with the NUL; relative, without "." and ".." */
        uint32_t content_bytes;                /* of a file; of a symlink the target with its NUL */
        uint32_t unused;
};
_Static_assert(sizeof(struct ct_new_entry) == 40, "src/binding/trees.ts encodes 40 bytes");

CT_EXPORT int64_t ct_make_entries(int32_t root, const uint8_t *entries, int64_t bytes, int64_t *done);

/* ct_read_entries looks at names of an open directory, each ending in a NUL, and fills entries with as many records as fit;
 * read counts the bytes of the names that are done. Files of at most content_most bytes come with their content; below 0
 * nothing comes but the status. Of a file that is not in memory the kernel is asked for those behind it as well, so that a
 * disk reads many at a time. The number of bytes used; -ENOBUFS when not even one fits. */
#define CT_ASKED_AHEAD 128                     /* files that the kernel is asked for at a time */
#define CT_FOUND_BYTES 4096                    /* room that is left for a record, at the least */
struct ct_found_entry {
        struct ct_file file;                   /* mode 0: it is gone */
        uint32_t bytes;                        /* of the record: this, the names of the attributes, the content */
        uint32_t xattr_bytes;                  /* names, each ending in a NUL */
        uint32_t content_bytes;                /* of a small file; of a symlink its target, without a NUL */
        uint32_t changed;                      /* 1: the file was written to while it was read */
};
_Static_assert(sizeof(struct ct_found_entry) == 112, "src/binding/trees.ts decodes 112 bytes");

CT_EXPORT int64_t ct_read_entries(int32_t directory, const char *names, int64_t names_bytes, int64_t content_most, uint8_t *entries, int64_t size, int64_t *read);

/* ct_walk (library-walk.c) names all entries below root, those of a directory after it; what is mounted there is named and not looked
 * into. The number of bytes used; -ENOBUFS when they do not fit. What they are ct_look fills in, for one of several parts of them:
 * so several threads look at once, which is most of the work. The number of those that were gone. */
struct ct_walked {
        uint32_t bytes;                        /* of the record: this, the path and its NUL */
        uint32_t mode;                         /* 0: it is gone */
        uint64_t inode;
        int64_t ctime_s;
        uint32_t ctime_ns;
        uint32_t foreign;                      /* 1: of another file system */
        uint32_t path_bytes;                   /* without the NUL; relative */
        uint32_t unused;
};
_Static_assert(sizeof(struct ct_walked) == 40, "src/binding/walk.ts decodes 40 bytes");

CT_EXPORT int64_t ct_walk(int32_t root, uint8_t *entries, int64_t size);
CT_EXPORT int64_t ct_look(int32_t root, uint8_t *entries, int64_t used, int32_t part, int32_t parts);
/* Shares a regular file's blocks with an empty one, or fails. */
CT_EXPORT int64_t ct_clone(int32_t from, int32_t to);

/* ext4: what is made in this directory has nothing to do with each other, and gets places apart (chattr(1), T). */
CT_EXPORT int64_t ct_spread(int32_t directory);

/* Subvolumes of Btrfs (linux/btrfs.h): directories that are copied whole, in one moment. `name` is one in `directory`. */
CT_EXPORT int64_t ct_subvolume_make(int32_t directory, const char *name);
CT_EXPORT int64_t ct_subvolume_copy(int32_t directory, const char *name, int32_t subvolume);
CT_EXPORT int64_t ct_subvolume_remove(int32_t directory, const char *name);

/* Content-defined chunks (library-cut.c): ct_cut goes over the next bytes of some content and fills cuts with the offsets in
 * them at which a chunk ends; how many. What comes after the last belongs to a chunk that goes on: hash and length keep its
 * state, 0 where content begins. -ENOBUFS unless most is at least (count + length) / min_bytes. */
#define CT_CHUNK_BYTES (1u << 30)              /* no chunk may be larger */
struct ct_cutter {
        uint64_t gear[256];
        uint64_t min_bytes, average_bytes, max_bytes;
        uint64_t early_mask, late_mask;        /* a chunk ends where the hash has none of these bits */
        uint64_t hash, length;
};
_Static_assert(sizeof(struct ct_cutter) == 2104, "src/binding/cutter.ts encodes 2104 bytes");

CT_EXPORT int64_t ct_cut(struct ct_cutter *cutter, const uint8_t *bytes, int64_t count, int64_t *cuts, int64_t most);

/* The launcher (library-launcher.c): starts it from a sealed copy of path, its process id; sockets receives three descriptors:
 * requests, control, events. ct_send passes one request (abi.h), the plan in a sealed memfd, and descriptors; -EAGAIN when the
 * socket is full. */
CT_EXPORT int64_t ct_launcher_start(const char *path, int32_t *sockets);
CT_EXPORT int64_t ct_launcher_reap(int32_t pid);
CT_EXPORT int64_t ct_socket_pair(int32_t *ends, int32_t stream);
CT_EXPORT int64_t ct_plan_file(const void *plan, int64_t bytes);
CT_EXPORT int64_t ct_send(int32_t socket, const void *request, const void *plan, int64_t plan_bytes, const int32_t *fds, int32_t count);

/* A process is its pid and its start time (field 22 of proc_pid_stat(5)); signal 0 only asks. -ESRCH when it is gone. */
CT_EXPORT int64_t ct_process_start_time(int32_t pid);
CT_EXPORT int64_t ct_signal_process(int32_t pid, int64_t start_time, int32_t signal);
CT_EXPORT int64_t ct_open_process(int32_t pid, int64_t start_time); /* a pidfd */

/* A terminal's near end, as the TERMINAL step sends it; its size; bytes that can be read from a pipe or terminal. */
CT_EXPORT int64_t ct_receive_descriptor(int32_t socket);
CT_EXPORT int64_t ct_set_terminal_size(int32_t terminal, uint32_t rows, uint32_t columns);
CT_EXPORT int64_t ct_make_raw(int32_t terminal, void *before, int64_t size);
CT_EXPORT int64_t ct_restore_terminal(int32_t terminal, const void *before);
CT_EXPORT int64_t ct_readable(int32_t file);

/* Netlink (library-netlink.c): one datagram of requests to the kernel, and what it answers until everything is acknowledged. */
CT_EXPORT int64_t ct_netlink(int32_t protocol, const void *request, int64_t bytes, void *answer, int64_t size, int32_t acks);

#endif
