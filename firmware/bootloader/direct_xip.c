/*
 * Nothing is moved: images run from the slot they are in, the highest version first. With revert an image
 * that was started once and has not confirmed itself is erased at the next boot.
 */
#include "board_config.h"

#if defined(BOOT_MODE_DIRECT_XIP) || defined(BOOT_MODE_DIRECT_XIP_REVERT)

#include "console.h"
#include "counter.h"
#include "defects.h"
#include "rules.h"
#include "swap.h"

#ifdef BOOT_MODE_DIRECT_XIP_REVERT
enum { WITH_REVERT = 1 };
const char mode_name[] = "direct-xip with revert";
#else
enum { WITH_REVERT = 0 };
const char mode_name[] = "direct-xip";
#endif

/* Fixed addresses in headers count from the start of the flash. */
#ifndef FLASH_BASE
#define FLASH_BASE 0u
#endif

enum { NO_SLOT = -1, FLAG_FIXED_ADDRESS = 0x100 };

static bool usable[BOOT_IMAGES][2];
static int chosen[BOOT_IMAGES];

static const char *slot_name(int slot) { return slot == PRIMARY ? "primary" : "secondary"; }

uint32_t image_limit(unsigned image, enum slot slot) { return trailer_info(slot_area(image, slot)); }

static void read_slots(unsigned image) {
    struct image there;
    chosen[image] = NO_SLOT;
    for (int slot = PRIMARY; slot <= SECONDARY; slot++) {
        image_open(&there, slot_area(image, slot), 0);
        usable[image][slot] = there.valid;
    }
}

static int highest_version(unsigned image) {
    struct image first, second;
    if (!usable[image][PRIMARY] || !usable[image][SECONDARY])
        return usable[image][PRIMARY] ? PRIMARY : usable[image][SECONDARY] ? SECONDARY : NO_SLOT;
    image_open(&first, slot_area(image, PRIMARY), 0);
    image_open(&second, slot_area(image, SECONDARY), 0);
    const bool newer = version_compare(&second.version, &first.version) > 0;
    return DEFECT(primary_preferred, false, newer) ? SECONDARY : PRIMARY;
}

static bool refuse(unsigned image, int slot, const char *why, bool erase) {
    say("image %u: %s %s: %s", image, slot_name(slot), erase ? "erased" : "skipped", why);
    if (erase)
        flash_erase(slot_area(image, slot), 0, slot_area(image, slot).size);
    return false;
}

/* Whether the image may still be tried. It gets its one try before it is even validated. */
static bool may_try(unsigned image, int slot) {
    const struct area area = slot_area(image, slot);
    const struct trailer trailer = trailer_read(area);
    if (trailer.magic != MARK_SET)
        return refuse(image, slot, "not marked for boot", true);
    if (trailer.copy_done == MARK_SET && trailer.image_ok != MARK_SET)
        return refuse(image, slot, "not confirmed", DEFECT(ignore_missing_confirm, false, true)) ||
               DEFECT(ignore_missing_confirm, true, false);
    if (!DEFECT(tries_not_counted, true, false))
        trailer_set_copy_done(area);
    return true;
}

static bool slot_good(unsigned image, int slot) {
    const struct area area = slot_area(image, slot);
    struct image there;
    const enum header_state state = image_open(&there, area, 0);
    if (!DEFECT(load_address_ignored, true, false) && (there.flags & FLAG_FIXED_ADDRESS) &&
        there.load_address != area.address - FLASH_BASE)
        return refuse(image, slot, "built for another address", false);
    if (WITH_REVERT && !may_try(image, slot))
        return false;
    if (state == HEADER_NOT_BOOTABLE)
        return refuse(image, slot, "not bootable", false);
    const char *const problem = image_problem(&there, image, image_limit(image, slot));
    return !problem || refuse(image, slot, problem, true);
}

/* Choose a slot for every image that has none; false if an image has none left. */
static bool choose(void) {
    for (unsigned image = 0; image < BOOT_IMAGES; image++) {
        while (chosen[image] == NO_SLOT) {
            const int slot = highest_version(image);
            if (slot == NO_SLOT) {
                say("image %u: no slot left", image);
                return false;
            }
            if (slot_good(image, slot))
                chosen[image] = slot;
            else
                usable[image][slot] = false;
        }
    }
    return true;
}

/* Drop the slot of the first image whose dependencies are not met; false if there is none. */
static bool drop_unmet(void) {
    struct image active[BOOT_IMAGES];
    for (unsigned image = 0; image < BOOT_IMAGES; image++)
        image_open(&active[image], slot_area(image, chosen[image]), 0);
    for (unsigned image = 0; image < BOOT_IMAGES; image++)
        if (BOOT_IMAGES > 1 && !dependencies_met(image, &active[image], active)) {
            usable[image][chosen[image]] = false;
            chosen[image] = NO_SLOT;
            return true;
        }
    return false;
}

uint32_t boot(void) {
    struct image there;
    for (unsigned image = 0; image < BOOT_IMAGES; image++)
        read_slots(image);
    do {
        if (!choose())
            return 0;
    } while (drop_unmet());
    for (unsigned image = 0; image < BOOT_IMAGES; image++) {
        const struct area area = slot_area(image, chosen[image]);
        image_open(&there, area, 0);
        if (!WITH_REVERT || trailer_read(area).image_ok == MARK_SET)
            counter_raise(image, &there);
        say("image %u: %v in %s", image, &there.version, slot_name(chosen[image]));
    }
    const struct area area = slot_area(0, chosen[0]);
    image_open(&there, area, 0);
    return area.address + there.header_size;
}

#endif
