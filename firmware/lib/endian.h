/* Numbers in byte streams, for cores that cannot load from odd addresses. */
#ifndef ENDIAN_H
#define ENDIAN_H

#include <stdint.h>

static inline uint32_t get16(const uint8_t *at) { return at[0] | (uint32_t)at[1] << 8; }

static inline uint32_t get32(const uint8_t *at) { return get16(at) | get16(at + 2) << 16; }

static inline uint32_t get32_big(const uint8_t *at) {
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static inline void put32(uint8_t *at, uint32_t value) {
    for (unsigned i = 0; i < 4; i++)
        at[i] = (uint8_t)(value >> 8 * i);
}

static inline void put32_big(uint8_t *at, uint32_t value) {
    for (unsigned i = 0; i < 4; i++)
        at[i] = (uint8_t)(value >> (24 - 8 * i));
}

#endif
