/*
 * A small journal in the storage partition: the newest record that was written whole counts.
 * Records are appended; when a sector is full the next one begins, and is erased only then. So the
 * last good record outlives a power cut at any moment, and wear spreads over all sectors.
 */
#ifndef RECORD_H
#define RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RECORD_MAX = 496 };

/* Read the newest record; returns its size, 0 if there is none of at most `capacity` bytes. */
size_t record_load(void *data, size_t capacity);

/* Append a record of at most RECORD_MAX bytes; false if the flash does not take it. */
bool record_store(const void *data, size_t size);

/* How many records were stored so far, as far as the flash knows. */
uint32_t record_sequence(void);

#endif
