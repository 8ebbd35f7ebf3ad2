#include "flash.h"

#include "console.h"
#include "port.h"

enum { STEP = 1024 }; /* bytes between two signs of life to the watchdog: programming a word takes up to 0.1 ms */

struct area slot_area(unsigned image, enum slot slot) {
    static const uint32_t slots[BOOT_IMAGES][4] = BOOT_SLOTS;
    const uint32_t *const place = &slots[image][slot == PRIMARY ? 0 : 2];
    return (struct area){place[0], place[1]};
}

struct area scratch_area(void) { return (struct area){BOOT_SCRATCH_ADDRESS, BOOT_SCRATCH_SIZE}; }

bool flash_is_erased(const uint8_t *at, uint32_t size) {
    for (; size; size--)
        if (*at++ != ERASED)
            return false;
    return true;
}

static void check(struct area area, uint32_t offset, uint32_t size) {
    if (offset > area.size || size > area.size - offset)
        stop("write outside of the area at 0x%x", area.address);
}

void flash_write(struct area area, uint32_t offset, const void *data, uint32_t size) {
    check(area, offset, size);
    const uint8_t *from = data;
    for (uint32_t at = 0; at < size; at += STEP) {
        const uint32_t part = size - at < STEP ? size - at : STEP;
        port_watchdog_feed();
        if (!port_flash_write(area.address + offset + at, from + at, part))
            stop("flash at 0x%x does not take what is written", area.address + offset + at);
    }
}

void flash_erase(struct area area, uint32_t offset, uint32_t size) {
    check(area, offset, size);
    for (uint32_t at = offset; at < offset + size; at += SECTOR) {
        port_watchdog_feed();
        if (!port_flash_erase(area.address + at, SECTOR))
            stop("flash at 0x%x cannot be erased", area.address + at);
    }
}

void flash_erase_tail(struct area area, uint32_t offset) {
    for (uint32_t at = area.size; at > offset; at -= SECTOR)
        flash_erase(area, at - SECTOR, SECTOR);
}

void flash_copy(struct area from, uint32_t from_offset, struct area to, uint32_t to_offset, uint32_t size) {
    const uint32_t unit = FLASH_WRITE_ALIGNMENT;
    flash_write(to, to_offset, flash_at(from, from_offset), (size + unit - 1) / unit * unit);
}
