/* memory.c: the four functions that gcc may call in freestanding code, and plain text helpers. */
#include "syscalls.h"

void *memcpy(void *restrict to, const void *restrict from, size_t n);
void *memmove(void *to, const void *from, size_t n);
void *memset(void *to, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);

__attribute__((weak)) void *memcpy(void *restrict to, const void *restrict from, size_t n)
{
        unsigned char *t = to;
        const unsigned char *f = from;
        while (n--)
                *t++ = *f++;
        return to;
}

__attribute__((weak)) void *memmove(void *to, const void *from, size_t n)
{
        unsigned char *t = to;
        const unsigned char *f = from;
        if (t < f)
                while (n--)
                        *t++ = *f++;
        else
                while (n--)
                        t[n] = f[n];
        return to;
}

__attribute__((weak)) void *memset(void *to, int c, size_t n)
{
        unsigned char *t = to;
        while (n--)
                *t++ = (unsigned char)c;
        return to;
}

__attribute__((weak)) int memcmp(const void *a, const void *b, size_t n)
{
        const unsigned char *p = a, *q = b;
        for (; n--; p++, q++)
                if (*p != *q)
                        return *p - *q;
        return 0;
}

size_t text_length(const char *s)
{
        size_t n = 0;
        while (s[n])
                n++;
        return n;
}

int text_equal(const char *a, const char *b)
{
        while (*a && *a == *b)
                a++, b++;
        return *a == *b;
}

char *text_append(char *to, const char *s)
{
        while (*s)
                *to++ = *s++;
        *to = 0;
        return to;
}

char *text_number(char *to, uint64_t v)
{
        char digits[20];
        int n = 0;
        do
                digits[n++] = (char)('0' + v % 10);
        while ((v /= 10) != 0);
        while (n)
                *to++ = digits[--n];
        *to = 0;
        return to;
}
