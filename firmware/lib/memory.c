/* What compilers call by themselves for structures and arrays; there is no C library here. */
#include "memory.h"

#include <stdint.h>

/* gcc would turn the loops below into calls of the functions they are in. */
#ifdef __clang__
#define PLAIN_LOOPS
#else
#define PLAIN_LOOPS __attribute__((optimize("no-tree-loop-distribute-patterns")))
#endif

PLAIN_LOOPS void *memcpy(void *restrict to, const void *restrict from, size_t size) {
    uint8_t *out = to;
    const uint8_t *in = from;
    if ((((uintptr_t)out | (uintptr_t)in) & 3) == 0)
        for (; size >= 4; size -= 4, out += 4, in += 4)
            *(uint32_t *)(void *)out = *(const uint32_t *)(const void *)in;
    while (size--)
        *out++ = *in++;
    return to;
}

PLAIN_LOOPS void *memmove(void *to, const void *from, size_t size) {
    uint8_t *out = to;
    const uint8_t *in = from;
    if ((uintptr_t)out <= (uintptr_t)in)
        return memcpy(to, from, size);
    while (size--)
        out[size] = in[size];
    return to;
}

PLAIN_LOOPS void *memset(void *to, int value, size_t size) {
    uint8_t *out = to;
    while (size--)
        *out++ = (uint8_t)value;
    return to;
}

PLAIN_LOOPS int memcmp(const void *left, const void *right, size_t size) {
    const uint8_t *a = left, *b = right;
    for (; size; size--, a++, b++)
        if (*a != *b)
            return *a - *b;
    return 0;
}
