/* names.h: which names a container's networks have: see names.c. */
#ifndef CT_NAMES_H
#define CT_NAMES_H
#include "dns.h"

struct names {
        int networks;                  /* directory of all networks of the store */
        int own;                       /* directory: the networks that the container is on, and its own names for others there */
};

struct found {
        uint32_t count;
        int known;                     /* there is such a name, if perhaps with addresses of the other family alone */
        uint8_t addresses[DNS_ADDRESSES_MAX][16];
};

/* Addresses of a name, of family DNS_A or DNS_AAAA, as Docker looks for it: a.b is a name of any network, or a on network b. */
void find_addresses(const struct names *names, const char *name, int family, struct found *found);
/* Who has an address of so many bytes, as "name.network". The text lasts until the next call; 0 = nobody. */
const char *find_holder(const struct names *names, const uint8_t *address, uint32_t size);
/* Whether one of its networks leads out. */
int has_way_out(const struct names *names);

#endif
