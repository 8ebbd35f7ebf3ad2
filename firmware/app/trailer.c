/* Sources: boot_set_next and boot_write_* in bootutil_public.c (MCUboot 2.4.0). */
#include "trailer.h"

#include "defects.h"
#include "platform.h"

enum { SWAP_TEST = 2, SWAP_PERMANENT = 3, FLAG_VALUE = 1, ERASED = 0xFF };

#if BOOT_MAX_ALIGNMENT == 8
static const uint8_t magic_value[TRAILER_MAGIC_SIZE] = {0x77, 0xC2, 0x95, 0xF3, 0x60, 0xD2, 0xEF, 0x7F,
                                                        0x35, 0x52, 0x50, 0x0F, 0x2C, 0xB6, 0x79, 0x80};
#else /* other alignments name themselves in the first two bytes */
static const uint8_t magic_value[TRAILER_MAGIC_SIZE] = {BOOT_MAX_ALIGNMENT, 0, 0x2D, 0xE1, 0x5D, 0x29, 0x41, 0x0B,
                                                        0x8D, 0x77, 0x67, 0x9C, 0x11, 0x0F, 0x1F, 0x8A};
#endif

static uint32_t end_of(struct area slot) { return slot.address + slot.size; }

static uint32_t image_ok(struct area slot) {
    return slot.address + round_down(slot.size - TRAILER_MAGIC_SIZE - BOOT_MAX_ALIGNMENT, BOOT_MAX_ALIGNMENT);
}

static uint32_t copy_done(struct area slot) { return image_ok(slot) - BOOT_MAX_ALIGNMENT; }

uint32_t trailer_swap_info(struct area slot) { return copy_done(slot) - BOOT_MAX_ALIGNMENT; }

static enum trailer_flag read_flag(uint32_t address) {
    const uint8_t value = *flash_at(address);
    return value == FLAG_VALUE ? FLAG_SET : value == ERASED ? FLAG_UNSET : FLAG_BAD;
}

static enum trailer_magic read_magic(struct area slot) {
    const uint8_t *found = flash_at(end_of(slot) - TRAILER_MAGIC_SIZE);
    if (equal(found, magic_value, sizeof magic_value))
        return MAGIC_GOOD;
    for (unsigned i = 0; i < TRAILER_MAGIC_SIZE; i++)
        if (found[i] != ERASED)
            return MAGIC_BAD;
    return MAGIC_UNSET;
}

struct trailer trailer_read(struct area slot) {
    return (struct trailer){read_magic(slot), read_flag(image_ok(slot)), read_flag(copy_done(slot)),
                            *flash_at(trailer_swap_info(slot))};
}

/* The magic ends the slot; what the write unit needs beyond it is left erased, in front of it. */
static bool write_magic(struct area slot) {
    uint8_t unit[TRAILER_MAGIC_ROOM];
    memset(unit, ERASED, sizeof unit);
    memcpy(unit + sizeof unit - sizeof magic_value, magic_value, sizeof magic_value);
    return flash_write(end_of(slot) - sizeof unit, unit, sizeof unit);
}

static bool write_byte(uint32_t address, uint8_t value) {
    uint8_t unit[FLASH_WRITE_UNIT];
    memset(unit, ERASED, sizeof unit);
    unit[0] = value;
    return flash_write(address, unit, sizeof unit);
}

/* With direct-xip a request is the bare magic, and a permanent one is a confirmation. */
static bool select_next(struct area slot, bool confirm) {
    const struct trailer trailer = trailer_read(slot);
    if (trailer.magic == MAGIC_BAD || (trailer.magic == MAGIC_UNSET && !write_magic(slot)))
        return false;
    if (!confirm)
        return true;
    return (trailer.copy_done != FLAG_UNSET || write_byte(copy_done(slot), FLAG_VALUE)) &&
           (trailer.image_ok != FLAG_UNSET || write_byte(image_ok(slot), FLAG_VALUE));
}

bool trailer_set_pending(unsigned component, bool permanent) {
    const struct area slot = slot_for_update(component);
    if (BOOT_SELECTS)
        return select_next(slot, permanent);
    const enum trailer_magic magic = read_magic(slot);
    if (magic != MAGIC_UNSET)
        return magic == MAGIC_GOOD;
    return write_magic(slot) && (!permanent || write_byte(image_ok(slot), FLAG_VALUE)) &&
           write_byte(trailer_swap_info(slot), (uint8_t)(component << 4 | (permanent ? SWAP_PERMANENT : SWAP_TEST)));
}

bool trailer_withdraw(unsigned component) {
    const struct area slot = slot_for_update(component);
    bool good = true;
    if (read_magic(slot) == MAGIC_UNSET)
        return true;
    for (uint32_t at = round_down(trailer_swap_info(slot), FLASH_SECTOR_SIZE); at < end_of(slot); at += FLASH_SECTOR_SIZE)
        good = flash_erase_sector(at) && good;
    return good;
}

bool trailer_confirm(unsigned component) {
    const struct area slot = slot_in_use(component);
    if (BOOT_SELECTS)
        return select_next(slot, true);
    const struct trailer trailer = trailer_read(slot);
    if (trailer.magic != MAGIC_GOOD || trailer.image_ok != FLAG_UNSET)
        return trailer.magic != MAGIC_BAD;
    return write_byte(DEFECT(wrong_image_ok_offset, image_ok(slot) - FLASH_WRITE_UNIT, image_ok(slot)), FLAG_VALUE);
}
