/* Base64 (RFC 4648 section 4), in pieces of any size. */
#ifndef BASE64_H
#define BASE64_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Start with {0}. */
struct base64 {
    uint32_t bits;
    uint8_t digits, padding; /* of the group of four that is being read */
};

/* Decode a piece; `to` needs room for 3/4 of it and two bytes more. False if it is no base64. */
bool base64_decode(struct base64 *base64, const uint8_t *from, size_t from_size, uint8_t *to, size_t *to_size);

/* Characters that so many bytes take, and encoding them; returns how many there are. */
#define BASE64_SIZE(bytes) (((bytes) + 2) / 3 * 4)
size_t base64_encode(const uint8_t *from, size_t size, uint8_t *to);

/* Whether the last group was whole. */
bool base64_complete(const struct base64 *base64);

#endif
