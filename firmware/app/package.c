#include "package.h"

#include "defects.h"
#include "model.h"
#include "platform.h"
#include "slots.h"

enum { ERASED = 0xFF };

static struct {
    unsigned component;
    uint32_t start;     /* address of the image */
    uint32_t limit;     /* most bytes it may have */
    uint32_t end;       /* of the slot */
    uint32_t received;
    uint32_t erased_to; /* the slot is erased up to here */
    uint8_t tail[FLASH_WRITE_UNIT]; /* bytes that do not fill a write unit yet */
    uint8_t header[IMAGE_HEADER_SIZE];
} package;

static bool sector_erased(uint32_t address) {
    const uint8_t *at = flash_at(address);
    for (uint32_t i = 0; i < FLASH_SECTOR_SIZE; i++)
        if (at[i] != ERASED)
            return false;
    return true;
}

/* Erasing takes time and wears the flash: not without need. */
static bool erase(uint32_t address) {
    platform_alive();
    return DEFECT(erases_blank_sectors, false, sector_erased(address)) || flash_erase_sector(address);
}

static void set_up(unsigned component) {
    package.component = component;
    package.start = image_for_update(component);
    package.limit = DEFECT(slot_size_ignored, INT32_MAX, slot_image_limit(component));
    package.end = slot_for_update(component).address + slot_for_update(component).size;
    package.received = 0;
    package.erased_to = package.start;
    memset(package.tail, ERASED, sizeof package.tail);
}

/*
 * The trailer goes first, so that no request of an earlier update stands while its image is
 * overwritten. In offset mode the sector in front goes as well: the boot loader would take an
 * image header there - of the image that was replaced by the last update - for a mistake.
 */
enum update_result package_begin(unsigned component) {
    const struct area slot = slot_for_update(component);
    set_up(component);
    bool good = true;
    if (!DEFECT(keeps_old_trailer, true, false))
        for (uint32_t at = round_down(slot_trailer_start(slot), FLASH_SECTOR_SIZE); at < slot.address + slot.size;
             at += FLASH_SECTOR_SIZE)
            good = erase(at) && good;
    if (BOOT_OFFSET)
        good = erase(slot.address) && good;
    return good ? RESULT_INITIAL : RESULT_INTEGRITY_CHECK_FAILED;
}

/* Up to the gap that program() keeps there is package; its last sector may be torn and is fetched again. */
bool package_resume(unsigned component, uint32_t *offset) {
    struct image image;
    set_up(component);
    uint32_t gap = package.start;
    while (gap < package.end && !sector_erased(gap))
        gap += FLASH_SECTOR_SIZE;
    package.received = gap == package.start ? 0 : gap - package.start - DEFECT(torn_sector_trusted, 0, FLASH_SECTOR_SIZE);
    package.erased_to = package.start + package.received;
    *offset = package.received;
    return package.received && image_header(&image, flash_at(package.start), package.limit);
}

/*
 * Sectors are erased as they are needed, and always one more: that gap tells what was written of
 * this package from what an earlier one has left behind it.
 */
static bool program(uint32_t address, const uint8_t *data, uint32_t size) {
    while (package.erased_to < address + size + FLASH_SECTOR_SIZE && package.erased_to < package.end) {
        if (!DEFECT(old_sectors_kept, true, erase(package.erased_to)))
            return false;
        package.erased_to += FLASH_SECTOR_SIZE;
    }
    return flash_write(address, data, size);
}

/* Whole write units go to flash as they fill up; the rest waits in `tail`. */
static bool append(const uint8_t *data, size_t size) {
    while (size) {
        const uint32_t filled = package.received % FLASH_WRITE_UNIT;
        const uint32_t at = package.start + package.received - filled;
        if (filled == 0 && size >= FLASH_WRITE_UNIT) {
            const uint32_t whole = round_down((uint32_t)size, FLASH_WRITE_UNIT);
            if (!program(at, data, whole))
                return false;
            package.received += whole;
            data += whole;
            size -= whole;
            continue;
        }
        package.tail[filled] = *data++;
        package.received++;
        size--;
        if (filled + 1 == FLASH_WRITE_UNIT) {
            if (!program(at, package.tail, FLASH_WRITE_UNIT))
                return false;
            memset(package.tail, ERASED, sizeof package.tail);
        }
    }
    return true;
}

/* What can be told as soon as the header is there. */
static enum update_result check_header(const uint8_t *header, uint32_t address) {
    struct image image;
    if (image_header(&image, header, package.limit)) {
        if (image.flags & (IMAGE_FLAG_ENCRYPTED | IMAGE_FLAG_COMPRESSED | IMAGE_FLAG_NOT_BOOTABLE | IMAGE_FLAG_RAM_LOAD))
            return RESULT_UNSUPPORTED_PACKAGE;
        if (image.flags & IMAGE_FLAG_FIXED_ADDRESS && image.load_address != address)
            return RESULT_UNSUPPORTED_PACKAGE;
        return RESULT_INITIAL;
    }
    if (get32(header) != (uint32_t)IMAGE_MAGIC)
        return RESULT_UNSUPPORTED_PACKAGE;
    return image.header_size < IMAGE_HEADER_SIZE ? RESULT_INTEGRITY_CHECK_FAILED : RESULT_NOT_ENOUGH_FLASH;
}

enum update_result package_write(const uint8_t *data, size_t size) {
    const uint32_t before = package.received;
    if (size > package.limit - before)
        return RESULT_NOT_ENOUGH_FLASH;
    for (uint32_t i = before; i < IMAGE_HEADER_SIZE && i - before < size; i++)
        package.header[i] = data[i - before];
    if (before < IMAGE_HEADER_SIZE && before + size >= IMAGE_HEADER_SIZE) {
        const enum update_result problem = check_header(package.header, package.start);
        if (problem)
            return problem;
    }
    return append(data, size) ? RESULT_INITIAL : RESULT_INTEGRITY_CHECK_FAILED;
}

/* Data images begin with "MODL", the application does not; each belongs to its component. */
static bool right_kind(unsigned component, const struct image *image) {
    return model_recognised(image) == (component != 0);
}

static enum update_result check(struct image *image) {
    if (package.received < IMAGE_HEADER_SIZE)
        return package.received >= 4 && get32(package.header) == (uint32_t)IMAGE_MAGIC ? RESULT_INTEGRITY_CHECK_FAILED
                                                                                       : RESULT_UNSUPPORTED_PACKAGE;
    if (!image_open(image, package.start, package.limit) ||
        DEFECT(rest_of_package_ignored, image->size > package.received, image->size != package.received))
        return RESULT_INTEGRITY_CHECK_FAILED;
    if (!image_digest(image))
        return RESULT_INTEGRITY_CHECK_FAILED;
    if (!right_kind(package.component, image))
        return RESULT_UNSUPPORTED_PACKAGE;
    return image_intact(image) ? RESULT_INITIAL : DEFECT(ignores_integrity, RESULT_INITIAL, RESULT_INTEGRITY_CHECK_FAILED);
}

enum update_result package_finish(struct image *image) {
    const uint32_t filled = package.received % FLASH_WRITE_UNIT;
    if (filled && !program(package.start + package.received - filled, package.tail, FLASH_WRITE_UNIT))
        return RESULT_INTEGRITY_CHECK_FAILED;
    return check(image);
}

bool package_valid(unsigned component, struct image *image) {
    return image_open(image, image_for_update(component), slot_image_limit(component)) &&
           right_kind(component, image) && image_intact(image);
}

/* The trailer first, as in package_begin(). */
bool package_erase(unsigned component) {
    const struct area slot = slot_for_update(component);
    bool good = true;
    for (uint32_t at = slot.address + slot.size; at > slot.address; at -= FLASH_SECTOR_SIZE)
        good = erase(at - FLASH_SECTOR_SIZE) && good;
    return good;
}
