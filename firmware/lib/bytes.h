/* Memory, numbers and text without a C library. */
#ifndef BYTES_H
#define BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "endian.h"
#include "memory.h"

static inline bool equal(const void *left, const void *right, size_t size) { return memcmp(left, right, size) == 0; }

static inline uint32_t round_up(uint32_t value, uint32_t unit) { return (value + unit - 1) / unit * unit; }
static inline uint32_t round_down(uint32_t value, uint32_t unit) { return value - value % unit; }

/* CRC-32 of IEEE 802.3; start with 0, or with the result for what comes before. */
uint32_t crc32(uint32_t crc, const void *data, size_t size);

size_t text_length(const char *text);
bool text_is(const char *left, const char *right);

/* Text in the making. What does not fit is left out and sets `overflow`; there is no terminating zero. */
struct text {
    char *data;
    size_t size, capacity;
    bool overflow;
};

void text_add(struct text *text, const char *more);
void text_add_bytes(struct text *text, const void *data, size_t size);
void text_add_number(struct text *text, uint32_t number);
void text_add_signed(struct text *text, int32_t number);
void text_add_hex(struct text *text, uint32_t number, unsigned digits);

/* Read a decimal number that is all of the text and at most `most`; false if it is anything else. */
bool number_from_text(const char *text, size_t size, uint32_t most, uint32_t *number);
bool signed_from_text(const char *text, size_t size, int32_t *number);

#endif
