/* Both ends of a connection: `serve PORT` in a container, `throughput ADDRESS PORT MEGABYTES` (prints megabytes per second)
 * and `latency ADDRESS PORT ROUNDS` (prints the median round trip of a byte in microseconds) on the host. */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static char buffer[1 << 17];

static double now(void)
{
        struct timespec t;
        clock_gettime(CLOCK_MONOTONIC, &t);
        return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void must(int ok, const char *what)
{
        if (!ok) {
                perror(what);
                exit(1);
        }
}

static int tcp(void)
{
        int on = 1, file = socket(AF_INET, SOCK_STREAM, 0);
        must(file >= 0, "socket");
        setsockopt(file, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        setsockopt(file, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        return file;
}

static void answer(int file)
{
        unsigned megabytes = 0;
        must(read(file, &megabytes, sizeof megabytes) == sizeof megabytes, "request");
        if (megabytes == 0)
                for (char byte; read(file, &byte, 1) == 1;)
                        must(write(file, &byte, 1) == 1, "echo");
        for (size_t left = (size_t)megabytes * 1000000; left > 0;) {
                ssize_t n = write(file, buffer, left < sizeof buffer ? left : sizeof buffer);
                must(n > 0, "write");
                left -= (size_t)n;
        }
}

static void serve(int port)
{
        struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
        int file = tcp();
        must(bind(file, (struct sockaddr *)&any, sizeof any) == 0 && listen(file, 8) == 0, "listen");
        for (;;) {
                int client = accept(file, NULL, NULL);
                must(client >= 0, "accept");
                if (fork() == 0) {
                        int on = 1;
                        setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
                        answer(client);
                        _exit(0);
                }
                close(client);
        }
}

static int by_size(const void *a, const void *b)
{
        double x = *(const double *)a, y = *(const double *)b;
        return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
        if (argc == 3 && strcmp(argv[1], "serve") == 0)
                serve(atoi(argv[2]));
        must(argc == 5, "arguments");
        struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(argv[3]))};
        inet_pton(AF_INET, argv[2], &to.sin_addr);
        int file = tcp(), count = atoi(argv[4]);
        must(connect(file, (struct sockaddr *)&to, sizeof to) == 0, "connect");
        unsigned megabytes = strcmp(argv[1], "throughput") == 0 ? (unsigned)count : 0;
        must(write(file, &megabytes, sizeof megabytes) == sizeof megabytes, "request");
        if (megabytes > 0) {
                double begin = now(), all = 0;
                for (ssize_t n; (n = read(file, buffer, sizeof buffer)) > 0;)
                        all += (double)n;
                must(all == megabytes * 1e6, "all of it");
                printf("%f\n", all / (now() - begin));
                return 0;
        }
        double *times = malloc((size_t)count * sizeof *times);
        for (int i = 0; i < count; i++) {
                double begin = now();
                char byte = 1;
                must(write(file, &byte, 1) == 1 && read(file, &byte, 1) == 1, "round trip");
                times[i] = now() - begin;
        }
        qsort(times, (size_t)count, sizeof *times, by_size);
        printf("%f\n", times[count / 2]);
        return 0;
}
