/* Cuts content into chunks at places that the content itself names, so that an inserted byte moves no more than the chunk it
 * is in: FastCDC (Xia et al., USENIX ATC 2016) with a gear hash over 64 bits and normalised chunking. A cut depends on the
 * bytes of its chunk alone. */
#include "library.h"

static int is_sound(const struct ct_cutter *cutter)
{
        return cutter->min_bytes > 0 && cutter->min_bytes <= cutter->average_bytes &&
               cutter->average_bytes <= cutter->max_bytes && cutter->max_bytes <= CT_CHUNK_BYTES &&
               cutter->length < cutter->max_bytes;
}

/* Where the chunk that is being cut ends: bytes up to there, or 0 when the content goes on beyond it. Before min_bytes nothing
 * is looked at; up to average_bytes a cut is less likely than after it, which keeps most chunks close to that size. */
static uint64_t next_cut(struct ct_cutter *cutter, const uint8_t *bytes, uint64_t count)
{
        uint64_t hash = cutter->hash, length = cutter->length, at = 0;
        if (length < cutter->min_bytes) {
                at = cutter->min_bytes - length < count ? cutter->min_bytes - length : count;
                length += at;
        }
        while (at < count) {
                int is_early = length < cutter->average_bytes;
                uint64_t mask = is_early ? cutter->early_mask : cutter->late_mask;
                uint64_t until = (is_early ? cutter->average_bytes : cutter->max_bytes) - length;
                uint64_t end = until < count - at ? at + until : count;
                uint64_t from = at;
                while (at < end) {
                        hash = (hash << 1) + cutter->gear[bytes[at++]];
                        if ((hash & mask) == 0)
                                goto cut;
                }
                length += at - from;
                if (length == cutter->max_bytes)
                        goto cut;
        }
        cutter->hash = hash;
        cutter->length = length;
        return 0;
cut:
        cutter->hash = 0;
        cutter->length = 0;
        return at;
}

int64_t ct_cut(struct ct_cutter *cutter, const uint8_t *bytes, int64_t count, int64_t *cuts, int64_t most)
{
        if (!is_sound(cutter) || count < 0)
                return -EINVAL;
        /* As many as there can be have to fit, so that no call stops halfway. */
        if (most < 0 || (uint64_t)most < ((uint64_t)count + cutter->length) / cutter->min_bytes)
                return -ENOBUFS;
        int64_t found = 0;
        for (int64_t at = 0; at < count;) {
                uint64_t cut = next_cut(cutter, bytes + at, (uint64_t)(count - at));
                if (cut == 0)
                        break;
                at += (int64_t)cut;
                cuts[found++] = at;
        }
        return found;
}
