/* SHA-256 (FIPS 180-4), in pieces of any size. */
#ifndef SHA256_H
#define SHA256_H

#include <stddef.h>
#include <stdint.h>

enum { SHA256_SIZE = 32 };

struct sha256 {
    uint32_t state[8];
    uint8_t block[64];
    uint32_t filled;  /* bytes in `block` */
    uint64_t total;   /* bytes so far */
};

void sha256_start(struct sha256 *hash);
void sha256_add(struct sha256 *hash, const uint8_t *data, size_t size);
void sha256_finish(struct sha256 *hash, uint8_t digest[SHA256_SIZE]);

#endif
