/*
 * The flash areas of the board: two slots an image and the scratch area. Nothing outside of them is
 * written. Flash is read through pointers: it is mapped into memory on every SoC with a port.
 */
#ifndef FLASH_H
#define FLASH_H

#include <stdbool.h>
#include <stdint.h>

#include "board_config.h"

enum { SECTOR = FLASH_SECTOR_SIZE, ERASED = 0xFF };
enum slot { PRIMARY, SECONDARY };

struct area {
    uint32_t address, size;
};

struct area slot_area(unsigned image, enum slot slot);
struct area scratch_area(void);

static inline const uint8_t *flash_at(struct area area, uint32_t offset) {
    return (const uint8_t *)(uintptr_t)(area.address + offset);
}

/* Whole sectors that hold this many bytes. */
static inline uint32_t sectors(uint32_t size) { return (size + SECTOR - 1) / SECTOR; }

bool flash_is_erased(const uint8_t *at, uint32_t size);

/*
 * Program whole write units. If the flash does not take them the bootloader stops: to go on would
 * mean to destroy the other copy of what was to be written.
 */
void flash_write(struct area area, uint32_t offset, const void *data, uint32_t size);

/* Erase whole sectors, first to last. */
void flash_erase(struct area area, uint32_t offset, uint32_t size);

/* Erase the sectors from `offset` to the end of the area, last to first. */
void flash_erase_tail(struct area area, uint32_t offset);

/* Copy into erased flash, rounded up to write units. */
void flash_copy(struct area from, uint32_t from_offset, struct area to, uint32_t to_offset, uint32_t size);

#endif
