/* monitor-orders.c: takes over what plan.bin says beside its steps, and trusts nothing in it that could lead outside. */
#include "monitor.h"

union scratch scratch __attribute__((aligned(4096)));
_Alignas(struct ct_orders) char orders_bytes[ORDERS_SIZE];

int text_is_within(const char *bytes, uint32_t offset, uint32_t size)
{
        if (offset == 0)
                return 1;
        while (offset < size && bytes[offset])
                offset++;
        return offset < size;
}

/* A name in the directory, short enough for a number and an ending. */
static int is_file_name(const char *name)
{
        size_t length = text_length(name);
        for (size_t i = 0; i < length; i++)
                if (name[i] == '/')
                        return 0;
        return length > 0 && length < 240 && !text_equal(name, ".") && !text_equal(name, "..");
}

/* An address has room for it, and the fields are within. */
static int is_journal(const char *bytes, const struct ct_orders *found, uint32_t size)
{
        return found->log_name != 0 && bytes[found->log_name] == '/' && text_length(bytes + found->log_name) < JOURNAL_PATH_SIZE &&
               (uint64_t)found->log_attributes + found->log_fields <= size;
}

int read_orders(int plan)
{
        struct run *run = &scratch.run;
        int r = run_open(run, plan, &scratch.progress);
        if (r < 0)
                return r;
        uint32_t size = run->plan->orders_size;
        const char *bytes = run->strings + run->plan->orders;
        const struct ct_orders *found = (const struct ct_orders *)bytes;
        if (size < sizeof *found || size > ORDERS_SIZE || run->plan->orders % 8 != 0 || found->size != size)
                r = -EINVAL;
        else if (found->version != CT_ORDERS)
                r = -EPROTO;
        else if (!text_is_within(bytes, found->log_name, size) || !text_is_within(bytes, found->log_attributes, size) ||
                 !text_is_within(bytes, found->alive, size))
                r = -EINVAL;
        else if (!text_is_within(bytes, found->journal, size) || !text_is_within(bytes, found->started_events, size) ||
                 !text_is_within(bytes, found->ended_events, size) || !text_is_within(bytes, found->removed_events, size) ||
                 !text_is_within(bytes, found->oom_events, size))
                r = -EINVAL;
        else if (!text_is_within(bytes, found->journal_aside, size))
                r = -EINVAL;
        else if (found->log == CT_LOG_JOURNAL && !is_journal(bytes, found, size))
                r = -EINVAL;
        else if (found->log != CT_LOG_NONE && found->log != CT_LOG_JOURNAL && (found->log_name == 0 || !is_file_name(bytes + found->log_name)))
                r = -EINVAL;
        for (uint32_t i = 0; r == 0 && i < size; i++)
                orders_bytes[i] = bytes[i];
        run_close(run);
        return r;
}
