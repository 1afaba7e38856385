/* cut-test.c: the cutter under the address and undefined-behaviour sanitizers. Prints a line for each fact that held; ends
 * with 1 at the first that does not.
 *
 *     cut-test DIRECTORY [ROUNDS [SEED]] */
#include "../library.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONTENT 60000
#define MOST 4096

static uint64_t random_state = 1;

static void check(int holds, const char *fact)
{
        printf("%s %s\n", holds ? "ok" : "not ok", fact);
        if (!holds)
                exit(1);
}

/* What every round has to have: silent while it holds. */
static void demand(int holds, const char *fact)
{
        if (!holds)
                check(0, fact);
}

/* splitmix64 */
static uint64_t next_random(void)
{
        uint64_t z = (random_state += 0x9e3779b97f4a7c15);
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
        z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
        return z ^ (z >> 31);
}

static struct ct_cutter a_cutter(void)
{
        struct ct_cutter cutter = {.min_bytes = 64, .average_bytes = 256, .max_bytes = 1024};
        for (int i = 0; i < 256; i++)
                cutter.gear[i] = next_random();
        cutter.early_mask = 0x3ffull << 54;
        cutter.late_mask = 0x3full << 58;
        return cutter;
}

/* Exactly as large as it says, so that the sanitizer sees one byte too many. */
static int64_t *room_for(int64_t most)
{
        return malloc(most ? (size_t)most * sizeof(int64_t) : 1);
}

static int64_t cut_once(struct ct_cutter *cutter, const uint8_t *from, int64_t count, int64_t *ends, int64_t base)
{
        uint8_t *bytes = malloc(count ? (size_t)count : 1);
        if (count)
                memcpy(bytes, from, (size_t)count);
        int64_t most = (int64_t)(((uint64_t)count + cutter->length) / cutter->min_bytes);
        int64_t *cuts = room_for(most);
        int64_t found = ct_cut(cutter, bytes, count, cuts, most);
        demand(found >= 0 && found <= most, "there are never more cuts than there is room for");
        for (int64_t i = 0; i < found; i++) {
                demand(cuts[i] > (i ? cuts[i - 1] : 0) && cuts[i] <= count, "cuts ascend and lie within the bytes");
                ends[i] = base + cuts[i];
        }
        free(cuts);
        free(bytes);
        return found;
}

static void refusals(void)
{
        uint8_t bytes[200] = {0};
        int64_t cuts[8];
        struct ct_cutter sound = a_cutter(), cutter = sound;
        check(ct_cut(&cutter, bytes, 200, cuts, 2) == -ENOBUFS, "too little room for cuts is refused");
        check(cutter.length == 0 && cutter.hash == 0, "and nothing was looked at");
        check(ct_cut(&cutter, bytes, 200, cuts, -1) == -ENOBUFS, "a negative room is none");
        check(ct_cut(&cutter, bytes, -1, cuts, 8) == -EINVAL, "a negative count is refused");
        check(ct_cut(&cutter, bytes, 0, cuts, 0) == 0, "no bytes have no cuts");
        cutter.min_bytes = 0;
        check(ct_cut(&cutter, bytes, 1, cuts, 8) == -EINVAL, "a minimum of nothing is refused");
        cutter = sound;
        cutter.average_bytes = 32;
        check(ct_cut(&cutter, bytes, 1, cuts, 8) == -EINVAL, "an average below the minimum is refused");
        cutter = sound;
        cutter.max_bytes = 128;
        check(ct_cut(&cutter, bytes, 1, cuts, 8) == -EINVAL, "a maximum below the average is refused");
        cutter.max_bytes = UINT64_MAX;
        check(ct_cut(&cutter, bytes, 1, cuts, 8) == -EINVAL, "a maximum beyond all bounds is refused");
        cutter = sound;
        cutter.length = 1024;
        check(ct_cut(&cutter, bytes, 1, cuts, 8) == -EINVAL, "a state that cannot be is refused");
        cutter.length = UINT64_MAX;
        check(ct_cut(&cutter, bytes, 1, cuts, 8) == -EINVAL, "nor does it overflow");
}

static void rounds(long count)
{
        static uint8_t content[CONTENT];
        static int64_t whole[MOST], parts[MOST];
        for (long round = 0; round < count; round++) {
                struct ct_cutter cutter = a_cutter();
                int64_t size = (int64_t)(next_random() % CONTENT);
                uint8_t alphabet = (uint8_t)next_random();
                for (int64_t i = 0; i < size; i++)
                        content[i] = (uint8_t)next_random() & alphabet;
                int64_t found = cut_once(&cutter, content, size, whole, 0), start = 0;
                for (int64_t i = 0; i < found; start = whole[i++])
                        demand(whole[i] - start >= 64 && whole[i] - start <= 1024, "chunks keep to their bounds");
                demand(size - start < 1024, "so does what is left");
                cutter.hash = cutter.length = 0;
                int64_t again = 0;
                for (int64_t at = 0, part; at < size; at += part) {
                        part = (int64_t)(next_random() % 700);
                        part = part < size - at ? part : size - at;
                        again += cut_once(&cutter, content + at, part, parts + again, at);
                }
                demand(again == found && memcmp(whole, parts, (size_t)found * sizeof *whole) == 0,
                       "the cuts are the same in parts of any size");
        }
        check(1, "chunks keep to their bounds");
        check(1, "the cuts are the same in parts of any size");
}

int main(int argc, char **argv)
{
        random_state = argc > 3 ? strtoull(argv[3], NULL, 10) : 1;
        refusals();
        rounds(argc > 2 ? strtol(argv[2], NULL, 10) : 100);
        return 0;
}
