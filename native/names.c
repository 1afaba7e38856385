/* names.c: names of containers are files, which Coracle makes and removes as containers come and go; nothing is kept in memory.
 *
 *     networks/NETWORK/names/NAME/ADDRESS         a file: NAME has ADDRESS
 *     networks/NETWORK/pointers/ADDRESS           a symlink to the name of who has it
 *     own/NETWORK/                                the container is on NETWORK
 *     own/NETWORK/ALIAS                           a symlink to the name that it calls so
 *     own/NETWORK/.internal                       a symlink, wherever it leads: NETWORK does not lead out
 *
 * What is looked for came over the network: it has letters, digits, '-', '_' and single dots between them, nothing else. */
#include "names.h"
#include "syscalls.h"

#define NETWORKS_MAX 64
#define FILE_NAME_MAX 256

struct entry {                         /* struct linux_dirent64 */
        uint64_t inode;
        int64_t offset;
        uint16_t length;
        uint8_t type;
        char name[];
};

static char network_names[NETWORKS_MAX][FILE_NAME_MAX];
static char path[3 * FILE_NAME_MAX], holder[2 * FILE_NAME_MAX];
static _Alignas(struct entry) char listing[8192];

static long open_below(int directory, const char *what, uint64_t flags)
{
        return openat2_path(directory, what, flags | O_CLOEXEC, 0, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
}

/* Each name in an open directory. */
static void each(int directory, void (*take)(const char *name, void *to), void *to)
{
        for (;;) {
                long n = sys3(__NR_getdents64, directory, listing, sizeof listing);
                if (n <= 0)
                        return;
                for (long at = 0; at < n;) {
                        const struct entry *entry = (const struct entry *)(listing + at);
                        if (entry->name[0] != '.')
                                take(entry->name, to);
                        at += entry->length;
                }
        }
}

static char folded(char c)
{
        return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

static int order(const char *a, const char *b)
{
        for (; *a && *a == *b; a++, b++)
                ;
        return (unsigned char)*a - (unsigned char)*b;
}

static int same_name(const char *a, const char *b)
{
        for (; *a && folded(*a) == folded(*b); a++, b++)
                ;
        return folded(*a) == folded(*b);
}

static void copy_text(char *to, const char *from, uint32_t room)
{
        uint32_t i = 0;
        for (; i + 1 < room && from[i]; i++)
                to[i] = from[i];
        to[i] = 0;
}

/* In the order of their names. */
static void take_network(const char *name, void *to)
{
        uint32_t *count = to, i = *count;
        if (i == NETWORKS_MAX)
                return;
        for (; i > 0 && order(network_names[i - 1], name) > 0; i--)
                __builtin_memcpy(network_names[i], network_names[i - 1], FILE_NAME_MAX);
        copy_text(network_names[i], name, FILE_NAME_MAX);
        ++*count;
}

static uint32_t list_networks(const struct names *names)
{
        uint32_t count = 0;
        if (sys3(__NR_lseek, names->own, 0, 0) == 0)
                each(names->own, take_network, &count);
        return count;
}

/* "NETWORK/KIND/NAME", or "NETWORK/NAME" without a kind. False when it is too long for a file of ours. */
static int make_path(const char *network, const char *kind, const char *name)
{
        if (text_length(name) >= FILE_NAME_MAX || *name == 0 || *name == '.')
                return 0;
        text_append(text_append(text_append(path, network), kind), name);
        return 1;
}

/* Where the symlink at `path` leads: a name. */
static int read_link(int directory, char to[FILE_NAME_MAX])
{
        long n = sys4(__NR_readlinkat, directory, path, to, FILE_NAME_MAX - 1);
        if (n <= 0)
                return 0;
        to[n] = 0;
        for (long i = 0; i < n; i++)
                if (to[i] == '/' || to[i] == 0)
                        return 0;
        return to[0] != '.';
}

/* --- addresses as text --- */

static const char *read_number(const char *text, int base, uint32_t most, uint32_t *number)
{
        const char *from = text;
        *number = 0;
        for (;; text++) {
                char c = folded(*text);
                int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : 16;
                if (digit >= base)
                        return text == from ? 0 : text;
                *number = *number * (uint32_t)base + (uint32_t)digit;
                if (*number > most)
                        return 0;
        }
}

static int parse_ipv4(const char *text, uint8_t to[16])
{
        for (int i = 0; i < 4; i++) {
                uint32_t number;
                text = read_number(text, 10, 255, &number);
                if (!text || *text != (i < 3 ? '.' : 0))
                        return 0;
                text++;
                to[i] = (uint8_t)number;
        }
        return 1;
}

/* RFC 4291, without its mixed form, which no network of containers has. */
static int parse_ipv6(const char *text, uint8_t to[16])
{
        uint16_t groups[8] = {0};
        int count = 0, gap = -1;
        if (text[0] == ':' && text[1] == ':') {
                gap = 0;
                text += 2;
        }
        while (*text) {
                uint32_t number;
                if (count == 8)
                        return 0;
                text = read_number(text, 16, 0xffff, &number);
                if (!text)
                        return 0;
                groups[count++] = (uint16_t)number;
                if (*text == 0)
                        break;
                if (*text++ != ':')
                        return 0;
                if (*text == ':' && gap < 0) {
                        gap = count;
                        text++;
                } else if (*text == 0) {
                        return 0;
                }
        }
        if (gap < 0 ? count != 8 : count == 8)
                return 0;
        for (int i = 0; i < 16; i++)
                to[i] = 0;
        for (int i = 0; i < count; i++)
                dns_put(to + 2 * (gap < 0 || i < gap ? i : i + 8 - count), groups[i]);
        return 1;
}

static char *format_hexadecimal(char *to, uint32_t number)
{
        for (int shift = 12; shift >= 0; shift -= 4)
                if (number >> shift || shift == 0)
                        *to++ = "0123456789abcdef"[number >> shift & 15];
        return to;
}

/* RFC 5952: the longest run of zeros, and of several the first, is left out. */
static void format_ipv6(char *to, const uint8_t address[16])
{
        int best = 8, longest = 1;
        for (int i = 0; i < 8; i++) {
                int run = 0;
                while (i + run < 8 && dns_number(address + 2 * (i + run)) == 0)
                        run++;
                if (run > longest) {
                        best = i;
                        longest = run;
                }
        }
        for (int i = 0; i < 8; i++) {
                if (i == best) {
                        to = text_append(to, "::");
                        i += longest - 1;
                        continue;
                }
                if (i > 0 && i != best + longest)
                        *to++ = ':';
                to = format_hexadecimal(to, dns_number(address + 2 * i));
        }
        *to = 0;
}

static void format_address(char *to, const uint8_t *address, uint32_t size)
{
        if (size == 16) {
                format_ipv6(to, address);
                return;
        }
        for (int i = 0; i < 4; i++) {
                to = text_number(to, address[i]);
                if (i < 3)
                        *to++ = '.';
        }
}

/* --- look-ups --- */

struct search {
        int family;
        struct found *found;
};

static void take_address(const char *name, void *to)
{
        struct search *search = to;
        struct found *found = search->found;
        if (found->count < DNS_ADDRESSES_MAX && (search->family == DNS_A ? parse_ipv4 : parse_ipv6)(name, found->addresses[found->count]))
                found->count++;
}

static void search_network(const struct names *names, const char *network, const char *name, struct search *search)
{
        long directory = make_path(network, "/names/", name) ? open_below(names->networks, path, O_RDONLY | O_DIRECTORY) : -ENOENT;
        if (directory < 0)
                return;
        search->found->known = 1;
        each((int)directory, take_address, search);
        close_fd((int)directory);
}

/* The container's own name for somebody on that network, or the name itself. */
static void search_by(const struct names *names, const char *network, const char *name, int by_alias, struct search *search)
{
        char target[FILE_NAME_MAX];
        int is_alias = make_path(network, "/", name) && read_link(names->own, target);
        if (is_alias == by_alias)
                search_network(names, network, is_alias ? target : name, search);
}

void find_addresses(const struct names *names, const char *name, int family, struct found *found)
{
        struct search search = {family, found};
        char first[DNS_NAME_MAX];
        uint32_t length = (uint32_t)text_length(name), count = list_networks(names);
        found->count = 0;
        found->known = 0;
        copy_text(first, name, sizeof first);
        /* All of it, then what stands before its last dot, and so on. */
        for (uint32_t cut = length; cut > 0; cut--) {
                if (cut < length && name[cut] != '.')
                        continue;
                first[cut] = 0;
                for (int by_alias = 1; by_alias >= 0; by_alias--)
                        for (uint32_t i = 0; i < count; i++) {
                                if (cut < length && !same_name(network_names[i], name + cut + 1))
                                        continue;
                                search_by(names, network_names[i], first, by_alias, &search);
                                if (found->count > 0)
                                        return;
                        }
                if (found->known)
                        return;
        }
}

const char *find_holder(const struct names *names, const uint8_t *address, uint32_t size)
{
        char text[48], target[FILE_NAME_MAX];
        uint32_t count = list_networks(names);
        format_address(text, address, size);
        for (uint32_t i = 0; i < count; i++) {
                if (!make_path(network_names[i], "/pointers/", text) || !read_link(names->networks, target))
                        continue;
                text_append(text_append(text_append(holder, target), "."), network_names[i]);
                return holder;
        }
        return 0;
}

int has_way_out(const struct names *names)
{
        char none[FILE_NAME_MAX];
        uint32_t count = list_networks(names);
        for (uint32_t i = 0; i < count; i++) {
                text_append(text_append(path, network_names[i]), "/.internal");
                if (sys4(__NR_readlinkat, names->own, path, none, sizeof none) == -ENOENT)
                        return 1;
        }
        return 0;
}
