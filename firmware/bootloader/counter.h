/*
 * The security counters that no image may fall below (option BOOT_HARDWARE_ROLLBACK). They are kept in
 * the last two sectors of the bootloader's own partition, as records that power loss cannot make wrong.
 */
#ifndef COUNTER_H
#define COUNTER_H

#include "image.h"

#if BOOT_HARDWARE_ROLLBACK
enum { HARDWARE_ROLLBACK = 1 };
#else
enum { HARDWARE_ROLLBACK = 0 };
#endif

/* The stored counter of an image number; 0 at first. */
uint32_t counter_stored(unsigned number);

/* Store the counter of an image if it is higher than the stored one of its number. */
void counter_raise(unsigned number, const struct image *image);

/* Stop if the bootloader is so large that it reaches into the sectors of the counters. */
void counter_check_room(void);

#endif
