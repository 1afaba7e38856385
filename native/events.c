/* events.c: what the supervisor waits for, and what it tells Node: records that wait in a backlog while Node does not read. */
#include "supervisor.h"

#define BACKLOG_SIZE (1 << 20)

int epoll;
static char backlog[BACKLOG_SIZE];
static uint32_t backlog_start, backlog_end;

void watch(int fd, enum watch what, uint32_t index, uint32_t events)
{
        struct epoll_event event = {.events = events, .data = (uint64_t)what << 32 | index};
        sys4(__NR_epoll_ctl, epoll, EPOLL_CTL_ADD, fd, &event);
}

/* Closing alone does not end a watch while another process has the same descriptor open: a spawner may. */
void close_watched(int fd)
{
        sys4(__NR_epoll_ctl, epoll, EPOLL_CTL_DEL, fd, 0);
        close_fd(fd);
}

static void watch_events(struct launcher *launcher, uint32_t events)
{
        struct epoll_event event = {.events = events, .data = (uint64_t)WATCH_EVENTS << 32};
        sys4(__NR_epoll_ctl, epoll, EPOLL_CTL_MOD, launcher->events, &event);
}

/* Node has closed it. A watch would tell so again and again. */
void forget_events(struct launcher *launcher)
{
        sys4(__NR_epoll_ctl, epoll, EPOLL_CTL_DEL, launcher->events, 0);
}

void flush_events(struct launcher *launcher)
{
        while (backlog_start < backlog_end) {
                long n = sys6(__NR_sendto, launcher->events, SYS_ARG(backlog + backlog_start), backlog_end - backlog_start,
                              MSG_DONTWAIT_ | 0x4000, 0, 0);
                if (n == -EINTR)
                        continue;
                if (n < 0 && n != -EAGAIN)
                        backlog_start = backlog_end;   /* nobody reads any more */
                if (n <= 0)
                        break;
                backlog_start += (uint32_t)n;
        }
        if (backlog_start == backlog_end)
                backlog_start = backlog_end = 0;
        watch_events(launcher, backlog_end > 0 ? EPOLLOUT : 0);
}

/* Room for one more event of any size; while there is none, nothing is taken that could cause one. */
int has_room(void)
{
        return backlog_end + EVENT_MAX <= BACKLOG_SIZE;
}

void emit_event(struct launcher *launcher, struct ct_event *event)
{
        const char *bytes = (const char *)event;
        uint32_t length = event->length, sent = 0;
        if (backlog_end == 0) {
                long n = sys6(__NR_sendto, launcher->events, SYS_ARG(bytes), length, MSG_DONTWAIT_ | 0x4000, 0, 0);
                if (n > 0)
                        sent = (uint32_t)n;
                else if (n != -EAGAIN)
                        return;
        }
        if (sent == length)
                return;
        for (; sent < length; sent++)
                backlog[backlog_end++] = bytes[sent];
        watch_events(launcher, EPOLLOUT);
}

int has_backlog(void)
{
        return backlog_end > 0;
}
