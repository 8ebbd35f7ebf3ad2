#include "trailer.h"

#include "defects.h"
#include "endian.h"
#include "memory.h"
#include "soc.h"

enum {
    MAGIC_ROOM = FIELD > MAGIC_SIZE ? FIELD : MAGIC_SIZE,
    INFO_SIZE = MAGIC_ROOM + (4 + HAS_TLV_SIZES) * FIELD,
    FLAG = 0x01,
};

#if BOOT_MAX_ALIGNMENT == 8
static const uint8_t magic_bytes[MAGIC_SIZE] = {0x77, 0xC2, 0x95, 0xF3, 0x60, 0xD2, 0xEF, 0x7F,
                                                0x35, 0x52, 0x50, 0x0F, 0x2C, 0xB6, 0x79, 0x80};
#else
static const uint8_t magic_bytes[MAGIC_SIZE] = {FIELD, 0x00, 0x2D, 0xE1, 0x5D, 0x29, 0x41, 0x0B,
                                                0x8D,  0x77, 0x67, 0x9C, 0x11, 0x0F, 0x1F, 0x8A};
#endif

static uint32_t magic_at(struct area area) { return area.size - MAGIC_SIZE; }
static uint32_t image_ok_at(struct area area) { return (magic_at(area) - FIELD) / FIELD * FIELD; }
static uint32_t copy_done_at(struct area area) { return image_ok_at(area) - FIELD; }
static uint32_t tlv_sizes_at(struct area area) { return trailer_info(area) - FIELD; }
static uint32_t swap_size_at(struct area area) { return trailer_info(area) - (1 + HAS_TLV_SIZES) * FIELD; }

uint32_t trailer_info(struct area area) { return copy_done_at(area) - FIELD; }

static unsigned entries(struct area area) {
    if (BOOT_SCRATCH_SIZE && area.address == BOOT_SCRATCH_ADDRESS)
        return STATES_PER_SECTOR; /* it is in use for one chunk of the images at most */
    return STATES_PER_SECTOR * BOOT_MAX_SECTORS;
}

uint32_t trailer_start(struct area area) { return area.size - INFO_SIZE - entries(area) * UNIT; }

uint32_t trailer_sector(struct area area) { return trailer_start(area) / SECTOR * SECTOR; }

static enum mark read_magic(struct area area) {
    const uint8_t *const at = flash_at(area, magic_at(area));
    if (memcmp(at, magic_bytes, DEFECT(half_magic_accepted, 4, MAGIC_SIZE)) == 0)
        return MARK_SET;
    return flash_is_erased(at, MAGIC_SIZE) ? MARK_UNSET : MARK_BAD;
}

/* A flag that power loss has left half written counts as written where it cannot be completed. */
static enum mark read_flag(struct area area, uint32_t offset) {
    const uint8_t value = *flash_at(area, offset);
    if (value == ERASED)
        return MARK_UNSET;
    if (FLASH_WRITES_ONCE && (value & FLAG))
        return MARK_SET;
    return value == FLAG ? MARK_SET : DEFECT(any_value_sets_flag, MARK_SET, MARK_BAD);
}

struct trailer trailer_read(struct area area) {
    const uint8_t info = *flash_at(area, trailer_info(area));
    const bool known = (info & 0xF) >= TYPE_NONE && (info & 0xF) <= TYPE_FAIL;
    return (struct trailer){
        .magic = read_magic(area),
        .image_ok = read_flag(area, image_ok_at(area)),
        .copy_done = read_flag(area, copy_done_at(area)),
        .type = known ? (enum swap_type)(info & 0xF) : TYPE_NONE,
        .image = known ? info >> 4 : 0,
        .swap_size = get32(flash_at(area, swap_size_at(area))),
        .tlv_sizes = HAS_TLV_SIZES ? get32(flash_at(area, tlv_sizes_at(area))) : 0,
    };
}

/* A value of at most 4 bytes, filled up to a write unit with bytes that change nothing. */
static void write_value(struct area area, uint32_t offset, uint32_t value, unsigned size) {
    uint8_t unit[UNIT];
    memset(unit, ERASED, sizeof unit);
    for (unsigned i = 0; i < size; i++)
        unit[i] = (uint8_t)(value >> 8 * i);
    flash_write(area, offset, unit, sizeof unit);
}

/* Where something else lies, such as an image that is too large, the unit would not take the flag. */
static void set_flag(struct area area, uint32_t offset) {
    const uint8_t *const unit = flash_at(area, offset);
    const bool becomes = FLASH_WRITES_ONCE ? *unit == ERASED : *unit != FLAG && (*unit & FLAG); /* bits only go to 0 */
    if (becomes && flash_is_erased(unit + 1, UNIT - 1))
        write_value(area, offset, FLAG, 1);
}

void trailer_set_image_ok(struct area area) {
    if (DEFECT(image_ok_never_written, false, true))
        set_flag(area, image_ok_at(area));
}

void trailer_set_copy_done(struct area area) { set_flag(area, copy_done_at(area)); }

void trailer_set_info(struct area area, unsigned image, enum swap_type type) {
    write_value(area, trailer_info(area), image << 4 | type, 1);
}

void trailer_set_sizes(struct area area, uint32_t swap_size, uint32_t tlv_sizes) {
    if (flash_is_erased(flash_at(area, swap_size_at(area)), UNIT))
        write_value(area, swap_size_at(area), swap_size, 4);
    if (HAS_TLV_SIZES && flash_is_erased(flash_at(area, tlv_sizes_at(area)), UNIT))
        write_value(area, tlv_sizes_at(area), tlv_sizes, 4);
}

void trailer_set_magic(struct area area) { flash_write(area, magic_at(area), magic_bytes, MAGIC_SIZE); }

void trailer_set_half_magic(struct area area) { flash_write(area, magic_at(area), magic_bytes, MAGIC_SIZE / 2); }

void trailer_withdraw(struct area area) {
    static const uint8_t zeros[UNIT] = {0};
    if (read_magic(area) == MARK_SET)
        flash_write(area, magic_at(area), zeros, sizeof zeros);
}

void trailer_erase(struct area area) { flash_erase_tail(area, trailer_sector(area)); }

unsigned trailer_status(struct area area) {
    const uint8_t *const first = flash_at(area, trailer_start(area));
    unsigned entry = entries(area);
    while (entry && first[(entry - 1) * UNIT] == ERASED)
        entry--;
    return entry;
}

void trailer_set_status(struct area area, unsigned entry, uint8_t value) {
    write_value(area, trailer_start(area) + entry * UNIT, value, 1);
}
