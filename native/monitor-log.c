/* monitor-log.c: what a container writes on its way into the log: cut into lines as Docker cuts them, encoded, written in as few
 * calls as may be. It never waits: what the disk does not take is counted and gone. */
#include "monitor.h"

#define OUT_SIZE (192 * 1024)          /* holds one piece of a line with every byte escaped */
#define NAME_SIZE 300

static char out[OUT_SIZE] __attribute__((aligned(4096)));
static char lines[2][LINE_SIZE] __attribute__((aligned(4096)));
static uint32_t used, used_lines;      /* in out: not written yet */
static int log_fd = -1;
static uint64_t log_size, lost;

/* Also when the disk was full before: the next line tries again. */
static int open_file(int directory, int flags)
{
        if (orders()->log == CT_LOG_JOURNAL) {
                log_fd = open_journal();
                return log_fd < 0 ? log_fd : 0;
        }
        long fd = sys4(__NR_openat, directory, orders_text(orders()->log_name),
                       O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | flags, 0640);
        if (fd < 0)
                return (int)fd;
        struct statx st;
        log_fd = (int)fd;
        log_size = sys5(__NR_statx, fd, "", AT_EMPTY_PATH, STATX_SIZE, &st) == 0 ? st.stx_size : 0;
        return 0;
}

int open_log(struct monitor *m)
{
        m->streams[0].have = m->streams[1].have = m->streams[0].goes_on = m->streams[1].goes_on = 0;
        if (orders()->log == CT_LOG_NONE || log_fd >= 0)
                return 0;
        return open_file(m->directory, 0);
}

void close_log(void)
{
        if (log_fd >= 0)
                close_fd(log_fd);
        log_fd = -1;
}

uint64_t lost_lines(void)
{
        return lost;
}

/* A line is there whole or not at all: what a full disk cut off is taken back. */
void flush_log(void)
{
        uint32_t done = 0;
        while (done < used) {
                long n = log_fd < 0 ? -EBADF : sys3(__NR_write, log_fd, out + done, used - done);
                if (n == -EINTR)
                        continue;
                if (n <= 0)
                        break;
                done += (uint32_t)n;
        }
        if (done < used) {
                lost += used_lines;
                if (done > 0)
                        sys2(__NR_ftruncate, log_fd, log_size);
        } else {
                log_size += done;
        }
        used = used_lines = 0;
}

static char *numbered_name(char *to, uint32_t number)
{
        char *end = text_append(to, orders_text(orders()->log_name));
        if (number > 0)
                end = text_number(text_append(end, "."), number);
        return end;
}

/* name → name.1 → name.2 …, the oldest goes; with one file it begins anew: moby, daemon/logger/loggerutils/logfile.go. A rotated
 * file may have been compressed meanwhile: then it is name.2.gz. */
static void rotate(int directory)
{
        char from[NAME_SIZE], to[NAME_SIZE];
        uint32_t files = orders()->log_files;
        close_log();
        for (uint32_t i = files; i > 1; i--)
                for (int compressed = 0; compressed < 2; compressed++) {
                        text_append(numbered_name(to, i - 1), compressed ? ".gz" : "");
                        text_append(numbered_name(from, i - 2), compressed ? ".gz" : "");
                        if (i == files)
                                sys3(__NR_unlinkat, directory, to, 0);
                        if (i > 2 || !compressed)
                                sys4(__NR_renameat, directory, from, directory, to);
                }
        open_file(directory, files < 2 ? O_TRUNC : 0);
}

static void log_json(int stream, const char *bytes, uint32_t length, int whole, const char *time)
{
        char *end = text_append(out + used, "{\"log\":\"");
        end = json_escape(end, bytes, length);
        end = text_append(end, whole ? "\\n\",\"stream\":\"" : "\",\"stream\":\"");
        end = text_append(end, stream == 0 ? "stdout\"" : "stderr\"");
        end = text_append(end, orders_text(orders()->log_attributes));
        end = text_append(text_append(text_append(end, ",\"time\":\""), time), "\"}\n");
        used = (uint32_t)(end - out);
}

static void put(const void *bytes, uint32_t length)
{
        for (uint32_t i = 0; i < length; i++)
                out[used++] = ((const char *)bytes)[i];
}

static void log_binary(int stream, const char *bytes, uint32_t length, int whole)
{
        struct ct_log_entry entry = {(uint32_t)sizeof entry + length, (uint32_t)stream + 1 + (whole ? 0 : CT_LOG_PARTIAL), wall_ns()};
        put(&entry, sizeof entry);
        put(bytes, length);
        put(&entry.length, sizeof entry.length);
}

/* At once, each on its own. A journal that was started anew has another socket at the same place. */
static void log_to_journal(struct monitor *m, int stream, const char *bytes, uint32_t length, int whole)
{
        for (int attempt = 0; attempt < 2; attempt++) {
                if (log_fd < 0 && open_file(m->directory, 0) < 0)
                        break;
                int r = send_to_journal(log_fd, stream, bytes, length, whole);
                if (r == 0)
                        return;
                if (r == -EAGAIN)
                        break;
                close_log();
        }
        lost++;
}

/* A line, or a piece of one that is too long. */
static void log_piece(struct monitor *m, int stream, const char *bytes, uint32_t length, int whole, const char *now)
{
        struct stream *from = &m->streams[stream];
        uint64_t limit = orders()->log_size;
        if (orders()->log == CT_LOG_NONE)
                return;
        if (orders()->log == CT_LOG_JOURNAL) {
                log_to_journal(m, stream, bytes, length, whole);
                from->goes_on = !whole;
                return;
        }
        if (used > OUT_SIZE - 6 * LINE_SIZE - ORDERS_SIZE - 256)
                flush_log();
        if (log_fd < 0)
                open_file(m->directory, 0);
        if (limit > 0 && log_size + used >= limit) {
                flush_log();
                if (log_size >= limit)
                        rotate(m->directory);
        }
        if (!from->goes_on)
                text_append(from->since, now);
        if (orders()->log == CT_LOG_JSON)
                log_json(stream, bytes, length, whole, from->since);
        else
                log_binary(stream, bytes, length, whole);
        used_lines++;
        from->goes_on = !whole;
}

/* What is left of a line at the end of a chunk waits for the rest of it. */
void log_output(struct monitor *m, int stream, const char *bytes, uint32_t length)
{
        struct stream *from = &m->streams[stream];
        char *line = lines[stream], now[TIME_SIZE];
        format_time(now, wall_ns());
        while (length > 0) {
                uint32_t end = 0, room = LINE_SIZE - from->have, most = length < room ? length : room;
                while (end < most && bytes[end] != '\n')
                        end++;
                int whole = end < most, full = !whole && end == room;
                if (from->have > 0 || !(whole || full)) {
                        for (uint32_t i = 0; i < end; i++)
                                line[from->have + i] = bytes[i];
                        from->have += end;
                        if (whole || full) {
                                log_piece(m, stream, line, from->have, whole, now);
                                from->have = 0;
                        }
                } else {
                        log_piece(m, stream, bytes, end, whole, now);
                }
                bytes += end + (uint32_t)whole;
                length -= end + (uint32_t)whole;
        }
}

/* The last line need not have an end. */
void log_end(struct monitor *m, int stream)
{
        struct stream *from = &m->streams[stream];
        char now[TIME_SIZE];
        format_time(now, wall_ns());
        if (from->have > 0)
                log_piece(m, stream, lines[stream], from->have, 0, now);
        from->have = from->goes_on = 0;
}

/* Gives buffers back while nothing is written: most containers are silent most of the time. */
void trim_log(struct monitor *m)
{
        sys3(__NR_madvise, out, sizeof out, 4 /* MADV_DONTNEED */);
        for (int i = 0; i < 2; i++)
                if (m->streams[i].have == 0)
                        sys3(__NR_madvise, lines[i], sizeof lines[i], 4);
}
