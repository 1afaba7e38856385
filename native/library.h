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
#define CT_LIBRARY_ABI 1

#define CT_EXPORT __attribute__((visibility("default")))

/* A libc-style result as this library returns it. */
static inline int64_t ct_result(int64_t result)
{
        return result < 0 ? -errno : result;
}

CT_EXPORT int32_t ct_abi(void);

#endif
