/* library-terminal.c: a terminal whose keys and characters pass through as they are. Node's own raw mode goes on turning "\n" into
 * "\r\n", which moves the cursor of full-screen programs. */
#include "library.h"
#include <errno.h>
#include <string.h>
#include <termios.h>

/* saved: CT_TERMINAL_BYTES, for ct_terminal_restore. */
int64_t ct_terminal_raw(int32_t fd, void *saved)
{
        struct termios settings;
        _Static_assert(sizeof settings <= CT_TERMINAL_BYTES, "as src/binding/terminal.ts has it");
        if (tcgetattr(fd, &settings) < 0)
                return -errno;
        memcpy(saved, &settings, sizeof settings);
        cfmakeraw(&settings);
        return ct_result(tcsetattr(fd, TCSANOW, &settings));
}

int64_t ct_terminal_restore(int32_t fd, const void *saved)
{
        struct termios settings;
        memcpy(&settings, saved, sizeof settings);
        return ct_result(tcsetattr(fd, TCSANOW, &settings));
}
