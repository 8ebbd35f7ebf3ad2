/*
 * Slot geometry. The limits are those of MCUboot 2.4.0 (app_max_size in swap_scratch.c, swap_move.c
 * and swap_offset.c; bootutil_max_image_size in bootutil_misc.c), for sectors of one size.
 */
#include "slots.h"

#include "image.h"
#include "platform.h"
#include "trailer.h"

static const struct {
    uint32_t primary, primary_size, secondary, secondary_size;
} slots[COMPONENTS] = BOOT_SLOTS;
static const char *const names[COMPONENTS] = COMPONENT_NAMES;
static const uint16_t instances[COMPONENTS] = COMPONENT_INSTANCES;

const char *component_name(unsigned component) { return names[component]; }

uint16_t component_instance(unsigned component) { return instances[component]; }

struct area slot_primary(unsigned component) {
    return (struct area){slots[component].primary, slots[component].primary_size};
}

struct area slot_secondary(unsigned component) {
    return (struct area){slots[component].secondary, slots[component].secondary_size};
}

/* What the boot loader found when it started us; an update that has come since then changes nothing. */
static bool secondary_used[COMPONENTS];

/* Whether the boot loader may have chosen the image in a slot, and its version. */
static bool candidate(struct area slot, struct image *image) {
#ifdef BOOT_MODE_DIRECT_XIP_REVERT
    if (trailer_read(slot).magic != MAGIC_GOOD)
        return false;
#endif
    return image_open(image, slot.address, slot.size);
}

/*
 * With direct-xip the application knows its slot from its own address. Of data images the boot
 * loader takes the highest version, and the primary of two equal ones.
 */
static bool find_used(unsigned component) {
    struct image primary, secondary;
    if (component == 0) {
        const uint32_t here = (uint32_t)(uintptr_t)&find_used;
        return here - slots[0].secondary < slots[0].secondary_size;
    }
    if (!candidate(slot_secondary(component), &secondary))
        return false;
    return !candidate(slot_primary(component), &primary) || version_compare(secondary.version, primary.version) > 0;
}

void slots_start(void) {
    for (unsigned i = 0; BOOT_SELECTS && i < COMPONENTS; i++)
        secondary_used[i] = find_used(i);
}

struct area slot_in_use(unsigned component) {
    return secondary_used[component] ? slot_secondary(component) : slot_primary(component);
}

struct area slot_for_update(unsigned component) {
    return secondary_used[component] ? slot_primary(component) : slot_secondary(component);
}

uint32_t image_in_use(unsigned component) { return slot_in_use(component).address; }

uint32_t image_for_update(unsigned component) {
    return slot_for_update(component).address + (BOOT_OFFSET ? FLASH_SECTOR_SIZE : 0);
}

/* In offset mode an update lies one sector up, and the image that it replaced at the start. */
bool slot_open(unsigned component, struct area slot, struct image *image) {
    const bool raised = slot.address == slot_for_update(component).address;
    return (raised && image_open(image, image_for_update(component), slot_image_limit(component))) ||
           image_open(image, slot.address, slot.size);
}

/* Status entries: one for each sector and step, and only three in the trailer of the scratch area. */
enum { STEPS = BOOT_OFFSET ? 2 : 3, SCRATCH_ENTRIES = 3, STATUS = BOOT_MAX_SECTORS * STEPS * FLASH_WRITE_ALIGNMENT };

uint32_t slot_trailer_start(struct area slot) { return slot.address + slot.size - TRAILER_INFO_SIZE - STATUS; }

uint32_t slot_image_limit(unsigned component) {
    const uint32_t primary = slots[component].primary_size, secondary = slots[component].secondary_size;
    const uint32_t smaller = primary < secondary ? primary : secondary;
#if defined(BOOT_MODE_SCRATCH)
    /* The first sector with trailer bytes must also take the trailer of the scratch area. */
    const uint32_t status = primary - TRAILER_INFO_SIZE - STATUS;
    const uint32_t inside = round_up(status + 1, FLASH_SECTOR_SIZE) - status;
    const uint32_t scratch = TRAILER_INFO_SIZE + SCRATCH_ENTRIES * FLASH_WRITE_ALIGNMENT;
    (void)smaller;
    return status - (scratch > inside ? scratch - inside : 0);
#elif defined(BOOT_MODE_MOVE) || defined(BOOT_MODE_OFFSET)
    const uint32_t usable_primary = primary - (BOOT_OFFSET ? 0 : FLASH_SECTOR_SIZE);
    const uint32_t usable_secondary = secondary - (BOOT_OFFSET ? FLASH_SECTOR_SIZE : 0);
    const uint32_t usable = usable_primary < usable_secondary ? usable_primary : usable_secondary;
    (void)smaller;
    return usable - round_up(TRAILER_INFO_SIZE + STATUS, FLASH_SECTOR_SIZE);
#else
    return trailer_swap_info((struct area){0, smaller});
#endif
}

bool slot_reverts(unsigned component) {
#if defined(BOOT_MODE_OVERWRITE_ONLY) || defined(BOOT_MODE_OVERWRITE_ONLY_FAST) || defined(BOOT_MODE_DIRECT_XIP)
    (void)component;
    return false;
#else
    const struct trailer trailer = trailer_read(slot_in_use(component));
    return trailer.magic == MAGIC_GOOD && trailer.copy_done == FLAG_SET && trailer.image_ok == FLAG_UNSET;
#endif
}
