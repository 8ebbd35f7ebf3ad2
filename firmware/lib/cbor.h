/*
 * As much of CBOR (RFC 8949) as SMP needs. Reading is strict: definite lengths, no tags, nothing behind the end.
 * Writing is in the shortest form.
 */
#ifndef CBOR_H
#define CBOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum cbor_kind { CBOR_UNSIGNED, CBOR_NEGATIVE, CBOR_BYTES, CBOR_TEXT, CBOR_ARRAY, CBOR_MAP, CBOR_TAG, CBOR_SIMPLE };
enum { CBOR_FALSE = 20, CBOR_TRUE = 21, CBOR_NULL = 22 };

struct cbor_item {
    enum cbor_kind kind;
    uint64_t number; /* value, or count of what follows; of CBOR_SIMPLE one of the above, or bits of a float */
    const uint8_t *data; /* content of bytes and text, `number` of them */
};

enum { CBOR_PAIRS_MAX = 12 };

/* A map whose keys are text, all different. Values that hold others are checked and left out: their kind counts. */
struct cbor_map {
    unsigned count;
    struct cbor_item keys[CBOR_PAIRS_MAX], values[CBOR_PAIRS_MAX];
};

/* Read a map that is all of the data; false if it is anything else, or has too many pairs. */
bool cbor_read_map(struct cbor_map *map, const uint8_t *data, size_t size);

/* The value of a key, NULL if it is not there. */
const struct cbor_item *cbor_find(const struct cbor_map *map, const char *key);

/* What does not fit sets `overflow`. */
struct cbor_writer {
    uint8_t *data;
    size_t size, capacity;
    bool overflow;
};

void cbor_put_number(struct cbor_writer *writer, uint32_t number);
void cbor_put_bool(struct cbor_writer *writer, bool value);
void cbor_put_bytes(struct cbor_writer *writer, const void *data, size_t size);
void cbor_put_text(struct cbor_writer *writer, const char *text, size_t size);
void cbor_put_key(struct cbor_writer *writer, const char *key);

/* A map or an array of at most 23 elements: their number is told at its end. */
size_t cbor_open(struct cbor_writer *writer);
void cbor_close(struct cbor_writer *writer, size_t opened, enum cbor_kind kind, unsigned count);

#endif
