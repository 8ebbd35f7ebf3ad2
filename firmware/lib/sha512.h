/* SHA-512 (FIPS 180-4) in pieces of any size; Ed25519 is built on it. */
#ifndef SHA512_H
#define SHA512_H

#include <stddef.h>
#include <stdint.h>

enum { SHA512_SIZE = 64 };

struct sha512 {
    uint64_t state[8];
    uint8_t block[128];
    uint32_t filled;  /* bytes in `block` */
    uint64_t total;   /* bytes so far */
};

void sha512_start(struct sha512 *hash);
void sha512_add(struct sha512 *hash, const uint8_t *data, size_t size);
void sha512_finish(struct sha512 *hash, uint8_t digest[SHA512_SIZE]);

#endif
