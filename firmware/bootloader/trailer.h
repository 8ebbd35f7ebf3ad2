/*
 * The flags at the end of a slot, as MCUboot lays them out: what application and bootloader tell each
 * other, and what the bootloader must know after power was lost. From the end of the area downwards:
 * magic, image_ok, copy_done, swap_info, [TLV sizes,] swap_size, status entries.
 */
#ifndef TRAILER_H
#define TRAILER_H

#include "flash.h"

#ifdef BOOT_MODE_OFFSET
enum { STATES_PER_SECTOR = 2, HAS_TLV_SIZES = 1 };
#else
enum { STATES_PER_SECTOR = 3, HAS_TLV_SIZES = 0 };
#endif
enum { UNIT = FLASH_WRITE_ALIGNMENT, FIELD = BOOT_MAX_ALIGNMENT, MAGIC_SIZE = 16 };

enum mark { MARK_UNSET, MARK_SET, MARK_BAD };

enum swap_type { TYPE_NONE = 1, TYPE_TEST, TYPE_PERMANENT, TYPE_REVERT, TYPE_FAIL };

#define SIZE_UNKNOWN 0xFFFFFFFFu

/* A trailer as it was read. */
struct trailer {
    enum mark magic, image_ok, copy_done; /* for the magic, MARK_SET is the one of this build */
    enum swap_type type;                  /* of swap_info, and the image number there */
    unsigned image;
    uint32_t swap_size; /* SIZE_UNKNOWN if it was not written */
    uint32_t tlv_sizes; /* primary's in the lower half, secondary's in the upper; 0xFFFFFFFF if not written */
};

struct trailer trailer_read(struct area area);

/* Where the trailer begins: its first status entry. In the scratch area it is a smaller one. */
uint32_t trailer_start(struct area area);

/* Offset of swap_info. Modes without status let images reach up to here. */
uint32_t trailer_info(struct area area);

/* Offset of the first sector that holds a part of the trailer. */
uint32_t trailer_sector(struct area area);

/* Set a flag. One that power loss has left half written is completed if the flash can; a wrong one is left alone. */
void trailer_set_image_ok(struct area area);
void trailer_set_copy_done(struct area area);

/* The parts of a trailer that says how a swap is to go on. The magic makes it valid, so it comes last. */
void trailer_set_info(struct area area, unsigned image, enum swap_type type);
void trailer_set_sizes(struct area area, uint32_t swap_size, uint32_t tlv_sizes);
void trailer_set_magic(struct area area);
void trailer_set_half_magic(struct area area); /* for a planted defect only */

/* Make a valid trailer invalid with one write, so that it cannot be read half erased. */
void trailer_withdraw(struct area area);

/* Erase all sectors of the trailer, last to first: the magic goes first. */
void trailer_erase(struct area area);

/* The status entries that were written, as the number of the one behind the last. */
unsigned trailer_status(struct area area);
void trailer_set_status(struct area area, unsigned entry, uint8_t value);

#endif
