/* monitor-records.c: the monitor's files. state.json and exit.json are replaced whole; what they mean, TypeScript says
 * (src/sdk/monitor-records.ts). */
#include "monitor.h"

#define RESERVED_SIZE 16384
#define RECORD_SIZE (128 * 1024)       /* the exit reports with every byte escaped */

static char record[RECORD_SIZE] __attribute__((aligned(4096)));

uint64_t wall_ns(void)
{
        struct ct_timespec t;
        sys2(__NR_clock_gettime, 0 /* CLOCK_REALTIME */, &t);
        return (uint64_t)t.sec * 1000000000u + (uint64_t)t.nsec;
}

static char *digits(char *to, uint64_t value, int count)
{
        for (int i = count - 1; i >= 0; i--, value /= 10)
                to[i] = (char)('0' + value % 10);
        return to + count;
}

/* Days to a date: years of 400 that begin in March, so that the leap day is the last. Howard Hinnant, days_from_civil. */
void format_time(char *to, uint64_t ns)
{
        uint64_t seconds = ns / 1000000000u, nanos = ns % 1000000000u, days = seconds / 86400 + 719468, clock = seconds % 86400;
        uint64_t era = days / 146097, day_of_era = days % 146097;
        uint64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
        uint64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        uint64_t month = (5 * day_of_year + 2) / 153, day = day_of_year - (153 * month + 2) / 5 + 1;
        month += month < 10 ? 3 : (uint64_t)-9;
        to = text_append(digits(to, year_of_era + era * 400 + (month <= 2), 4), "-");
        to = text_append(digits(to, month, 2), "-");
        to = text_append(digits(to, day, 2), "T");
        to = text_append(digits(to, clock / 3600, 2), ":");
        to = text_append(digits(to, clock / 60 % 60, 2), ":");
        to = digits(to, clock % 60, 2);
        if (nanos > 0) {
                *to++ = '.';
                to = digits(to, nanos, 9);
                while (to[-1] == '0')
                        to--;
        }
        text_append(to, "Z");
}

/* How many bytes of UTF-8 begin here, 1 for what is none: Go's utf8.DecodeRune. */
static uint32_t rune_length(const unsigned char *s, uint32_t left, uint32_t *rune)
{
        uint32_t length = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
        static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
        *rune = 0xfffd;
        if (s[0] < 0xc2 || s[0] > 0xf4 || left < length)
                return 1;
        uint32_t value = s[0] & (0x7fu >> length);
        for (uint32_t i = 1; i < length; i++) {
                if ((s[i] & 0xc0) != 0x80)
                        return 1;
                value = value << 6 | (s[i] & 0x3fu);
        }
        if (value < least[length] || value > 0x10ffff || (value >= 0xd800 && value < 0xe000))
                return 1;
        *rune = value;
        return length;
}

char *json_escape(char *to, const char *bytes, uint32_t length)
{
        const unsigned char *s = (const unsigned char *)bytes;
        for (uint32_t i = 0; i < length;) {
                unsigned char c = s[i];
                if (c < 0x80) {
                        i++;
                        if (c >= 0x20 && c != '"' && c != '\\' && c != '<' && c != '>' && c != '&') {
                                *to++ = (char)c;
                        } else if (c == '"' || c == '\\') {
                                *to++ = '\\';
                                *to++ = (char)c;
                        } else if (c == '\n' || c == '\r') {
                                *to++ = '\\';
                                *to++ = c == '\n' ? 'n' : 'r';
                        } else {
                                to = text_append(to, "\\u00");
                                *to++ = "0123456789abcdef"[c >> 4];
                                *to++ = "0123456789abcdef"[c & 15];
                        }
                        continue;
                }
                uint32_t rune, n = rune_length(s + i, length - i, &rune);
                if (n == 1) {
                        to = text_append(to, "\\ufffd");
                } else if (rune == 0x2028 || rune == 0x2029) {
                        to = text_append(to, rune == 0x2028 ? "\\u2028" : "\\u2029");
                } else {
                        for (uint32_t k = 0; k < n; k++)
                                *to++ = (char)s[i + k];
                }
                i += n;
        }
        *to = 0;
        return to;
}

static char *number(char *to, const char *key, uint64_t value)
{
        return text_number(text_append(to, key), value);
}

static char *signed_number(char *to, const char *key, int64_t value)
{
        to = text_append(to, key);
        if (value < 0)
                to = text_append(to, "-");
        return text_number(to, (uint64_t)(value < 0 ? -value : value));
}

static char *string(char *to, const char *key, const char *value)
{
        return text_append(text_append(text_append(to, key), value), "\"");
}

static long open_temporary(const struct monitor *m, const char *temporary)
{
        return sys4(__NR_openat, m->directory, temporary, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
}

/* Room for the exit record is taken while there is some: a container that fills the disk shall not read as lost. */
void reserve_exit(const struct monitor *m)
{
        long fd = open_temporary(m, "exit.json~");
        if (fd < 0)
                return;
        sys4(__NR_fallocate, fd, 0, 0, RESERVED_SIZE);
        close_fd((int)fd);
}

/* Not on disk before it is renamed: a power cut takes the container along, and the next open sees that its monitor is gone. */
static void replace(struct monitor *m, const char *name, const char *temporary, const char *end)
{
        long fd = open_temporary(m, temporary);
        if (fd < 0)
                return;
        long length = end - record, n = sys3(__NR_write, fd, record, length);
        if (n == length)
                n = sys2(__NR_ftruncate, fd, length) == 0 ? length : -1;
        close_fd((int)fd);
        if (n == length)
                sys4(__NR_renameat, m->directory, temporary, m->directory, name);
        else
                sys3(__NR_unlinkat, m->directory, temporary, 0);
        sys3(__NR_madvise, record, sizeof record, 4 /* MADV_DONTNEED */);
}

void note_stopped(const struct monitor *m)
{
        long fd = open_temporary(m, "stopped");
        if (fd >= 0)
                close_fd((int)fd);
}

void write_state(struct monitor *m, const char *status)
{
        char *end = string(record, "{\"version\":1,\"status\":\"", status);
        end = string(end, ",\"startedAt\":\"", m->started);
        end = number(end, ",\"restarts\":", m->restarts);
        end = number(end, ",\"lostLines\":", lost_lines());
        end = text_append(end, "}\n");
        replace(m, "state.json", "state.json~", end);
}

/* memory.oom_control (v1) and memory.events (v2) have a line "oom_kill N"; no other file of the reports has one. */
int struck_for_memory(const struct ending *ending)
{
        static const char line[] = "oom_kill ";
        uint32_t matched = 0;
        for (uint32_t i = 0; i < ending->reports_size; i++) {
                char c = ending->reports[i];
                if (matched == sizeof line - 1 && c >= '1' && c <= '9')
                        return 1;
                matched = c == line[matched] ? matched + 1 : c == line[0];
        }
        return 0;
}

/* The reports are text, read from the cgroup's files. */
void write_exit(struct monitor *m, const struct ending *ending)
{
        char *end = string(record, "{\"version\":1,\"startedAt\":\"", m->started);
        end = string(end, ",\"finishedAt\":\"", m->finished);
        end = number(end, ",\"restarts\":", m->restarts);
        end = number(end, ",\"lostLines\":", lost_lines());
        end = number(end, ",\"waited\":{\"code\":", (uint64_t)ending->code);
        end = number(end, ",\"status\":", (uint64_t)ending->status);
        end = number(end, ",\"deadline\":", ending->deadline);
        end = number(end, ",\"durationNs\":", ending->duration_ns);
        end = number(end, ",\"userUs\":", ending->user_us);
        end = number(end, ",\"systemUs\":", ending->system_us);
        end = number(end, ",\"peakRssKb\":", ending->peak_rss_kb);
        end = signed_number(end, ",\"sentSignal\":", m->sent.signal);
        end = number(end, ",\"sentBy\":", m->sent.by);
        end = text_append(end, ",\"reports\":{");
        for (uint32_t at = 0; at + 8 <= ending->reports_size;) {
                uint32_t head[2];
                for (uint32_t i = 0; i < 8; i++)
                        ((char *)head)[i] = ending->reports[at + i];
                end = text_append(text_number(text_append(end, at > 0 ? ",\"" : "\""), head[0]), "\":\"");
                end = text_append(json_escape(end, ending->reports + at + 8, head[1]), "\"");
                at += 8 + ((head[1] + 7) & ~7u);
        }
        end = text_append(end, "}}}\n");
        replace(m, "exit.json", "exit.json~", end);
}

void write_health(struct monitor *m, const struct health *health)
{
        const char *text = health->texts;
        char *end = string(record, "{\"version\":1,\"status\":\"", health->status);
        end = number(end, ",\"failingStreak\":", health->streak);
        end = text_append(end, ",\"log\":[");
        for (uint32_t i = 0; i < health->count; i++) {
                const struct probe_result *result = &health->results[i];
                end = string(end, i > 0 ? ",{\"start\":\"" : "{\"start\":\"", result->start);
                end = string(end, ",\"end\":\"", result->end);
                end = string(end, ",\"outcome\":\"", result->outcome);
                end = signed_number(end, ",\"code\":", result->code);
                end = number(end, ",\"truncated\":", result->truncated);
                end = text_append(end, ",\"output\":\"");
                end = text_append(json_escape(end, text, result->length), "\"}");
                text += result->length;
        }
        end = text_append(end, "]}\n");
        replace(m, "health.json", "health.json~", end);
}

#define LOCK_EX_NB 6

/* What a probe every second tells must not fill the memory of the host while nobody else writes events. As EventJournal's. */
static void put_journal_aside(int fd, const char *path)
{
        struct statx own, there;
        if (orders()->journal_most == 0 || sys5(__NR_statx, fd, "", AT_EMPTY_PATH, STATX_SIZE | STATX_INO, &own) < 0 ||
            own.stx_size <= orders()->journal_most || sys2(__NR_flock, fd, LOCK_EX_NB) < 0)
                return;
        if (sys5(__NR_statx, AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_INO, &there) == 0 && there.stx_ino == own.stx_ino &&
            there.stx_dev_major == own.stx_dev_major && there.stx_dev_minor == own.stx_dev_minor)
                sys4(__NR_renameat, AT_FDCWD, path, AT_FDCWD, orders_text(orders()->journal_aside));
}

/* docs/events.md. A writer never waits and never reads. */
void write_lines(const char *from, int exit_code, const char *exec_id)
{
        const char *path = orders_text(orders()->journal);
        char *to = record;
        uint64_t now = wall_ns();
        if (!*from)
                return;
        for (; *from && to < record + sizeof record - EXEC_ID_SIZE - 32; from++) {
                if (*from == CT_EVENT_TIME) {
                        to = text_number(to, now / 1000000000u);
                        *to++ = '.';
                        to = digits(to, now % 1000000000u, 9);
                } else if (*from == CT_EVENT_EXIT_CODE) {
                        to = text_number(to, (uint64_t)exit_code);
                } else if (*from == CT_EVENT_EXEC_ID) {
                        to = text_append(to, exec_id);
                } else {
                        *to++ = *from;
                }
        }
        long fd = sys4(__NR_openat, AT_FDCWD, path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
                return;
        sys3(__NR_write, fd, record, to - record);
        put_journal_aside((int)fd, path);
        close_fd((int)fd);
}

void write_events(uint32_t lines, int exit_code)
{
        write_lines(orders_text(lines), exit_code, "");
}
