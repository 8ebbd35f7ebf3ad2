#include "sha256.h"

#include "endian.h"

static const uint32_t constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static uint32_t rotate(uint32_t value, unsigned count) { return value >> count | value << (32 - count); }

/*
 * One round, with the eight variables renamed instead of shifted along: eight of these in a row
 * are what makes a boot quick enough on a core without a crypto unit.
 */
#define ROUND(a, b, c, d, e, f, g, h, i)                                                                     \
    do {                                                                                                     \
        const uint32_t t = h + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) + (g ^ (e & (f ^ g))) +        \
                           constants[i] + words[i];                                                          \
        d += t;                                                                                              \
        h = t + (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + ((a & b) | (c & (a | b)));                  \
    } while (0)

static void mix(uint32_t state[8], const uint8_t *block) {
    uint32_t words[64];
    for (unsigned i = 0; i < 16; i++)
        words[i] = get32_big(block + 4 * i);
    for (unsigned i = 16; i < 64; i++) {
        const uint32_t early = words[i - 15], late = words[i - 2];
        words[i] = words[i - 16] + words[i - 7] + (rotate(early, 7) ^ rotate(early, 18) ^ early >> 3) +
                   (rotate(late, 17) ^ rotate(late, 19) ^ late >> 10);
    }
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
    uint32_t e = state[4], f = state[5], g = state[6], h = state[7];
    for (unsigned i = 0; i < 64; i += 8) {
        ROUND(a, b, c, d, e, f, g, h, i);
        ROUND(h, a, b, c, d, e, f, g, i + 1);
        ROUND(g, h, a, b, c, d, e, f, i + 2);
        ROUND(f, g, h, a, b, c, d, e, i + 3);
        ROUND(e, f, g, h, a, b, c, d, i + 4);
        ROUND(d, e, f, g, h, a, b, c, i + 5);
        ROUND(c, d, e, f, g, h, a, b, i + 6);
        ROUND(b, c, d, e, f, g, h, a, i + 7);
    }
    state[0] += a, state[1] += b, state[2] += c, state[3] += d;
    state[4] += e, state[5] += f, state[6] += g, state[7] += h;
}

void sha256_start(struct sha256 *hash) {
    static const uint32_t initial[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                        0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    for (unsigned i = 0; i < 8; i++)
        hash->state[i] = initial[i];
    hash->filled = 0;
    hash->total = 0;
}

void sha256_add(struct sha256 *hash, const uint8_t *data, size_t size) {
    hash->total += size;
    while (size) {
        if (!hash->filled && size >= sizeof hash->block) {
            mix(hash->state, data);
            data += sizeof hash->block;
            size -= sizeof hash->block;
            continue;
        }
        hash->block[hash->filled++] = *data++;
        size--;
        if (hash->filled == sizeof hash->block) {
            mix(hash->state, hash->block);
            hash->filled = 0;
        }
    }
}

void sha256_finish(struct sha256 *hash, uint8_t digest[SHA256_SIZE]) {
    static const uint8_t padding[64] = {0x80};
    const uint64_t bits = hash->total * 8;
    uint8_t length[8];
    put32_big(length, (uint32_t)(bits >> 32));
    put32_big(length + 4, (uint32_t)bits);
    sha256_add(hash, padding, 1 + (119 - hash->filled) % 64);
    sha256_add(hash, length, sizeof length);
    for (unsigned i = 0; i < 8; i++)
        put32_big(digest + 4 * i, hash->state[i]);
}
