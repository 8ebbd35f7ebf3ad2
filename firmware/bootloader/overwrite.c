/*
 * No swap: the secondary's image is copied over the primary's, for good. There is no status. Until the copy
 * is complete the secondary keeps its image and its request, so that the next boot does it all again.
 */
#include "board_config.h"

#if defined(BOOT_MODE_OVERWRITE_ONLY) || defined(BOOT_MODE_OVERWRITE_ONLY_FAST)

#include "console.h"
#include "counter.h"
#include "defects.h"
#include "swap.h"

#ifdef BOOT_MODE_OVERWRITE_ONLY_FAST
enum { FAST = 1 }; /* copy the image's sectors alone */
const char mode_name[] = "overwrite-only fast";
#else
enum { FAST = 0 };
const char mode_name[] = "overwrite-only";
#endif

uint32_t image_limit(unsigned image, enum slot slot) { return trailer_info(slot_area(image, slot)); }

bool update_possible(unsigned image) {
    const uint32_t size = slot_area(image, PRIMARY).size;
    return size == slot_area(image, SECONDARY).size && size / SECTOR <= BOOT_MAX_SECTORS;
}

bool update_size(struct swap *swap, uint32_t size) { return swap->size = size, true; }

uint32_t update_place(unsigned image, enum swap_type type) { return (void)image, (void)type, 0; }

/* The request goes last: without it an image that was copied in part would never be completed. */
static void remove_request(struct area secondary) {
    flash_erase(secondary, 0, SECTOR);
    flash_erase(secondary, secondary.size - SECTOR, SECTOR);
}

/* Up to the end of a write unit that begins behind the image, as in MCUboot, but not into the next sector. */
static uint32_t copied(const struct image *image) {
    const uint32_t size = image_size(image);
    return size % SECTOR ? size / UNIT * UNIT + UNIT : size;
}

void update_run(struct swap *swap) {
    const struct area primary = slot_area(swap->image, PRIMARY), secondary = slot_area(swap->image, SECONDARY);
    const bool early = DEFECT(secondary_erased_too_early, true, false);
    struct image image;
    image_open(&image, secondary, 0);
    const uint32_t erased = FAST ? sectors(image_size(&image)) * SECTOR : primary.size;
    flash_erase(primary, 0, erased);
    if (FAST)
        flash_erase(primary, trailer_sector(primary), primary.size - trailer_sector(primary));
    if (early)
        flash_erase(secondary, secondary.size - SECTOR, SECTOR);
    flash_copy(secondary, 0, primary, 0, FAST ? copied(&image) : primary.size);
    if (FAST)
        trailer_set_magic(primary);
    counter_raise(swap->image, &image);
    if (!early)
        remove_request(secondary);
}

#endif
