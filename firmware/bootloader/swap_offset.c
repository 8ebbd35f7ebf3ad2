/*
 * Swap with the new image one sector further up in the secondary slot: the free sector below it makes
 * room, so that nothing has to be moved before. An update goes from the first sector up, primary x ->
 * secondary x, secondary x+1 -> primary x. A revert goes from the last one down, primary x -> secondary
 * x+1, secondary x -> primary x, and erases the secondary's first sector at the end.
 *
 * The status stays in the primary's trailer, two entries for each sector.
 */
#include "board_config.h"

#ifdef BOOT_MODE_OFFSET

#include "console.h"
#include "defects.h"
#include "swap.h"

const char mode_name[] = "offset";

unsigned swap_last_entry(uint32_t size) { return STATES * sectors(size); }

uint32_t image_limit(unsigned image, enum slot slot) {
    (void)slot; /* both images pass through both slots */
    const struct area primary = slot_area(image, PRIMARY);
    const uint32_t trailer = primary.size - trailer_sector(primary);
    const uint32_t spare = slot_area(image, SECONDARY).size - SECTOR;
    return (primary.size < spare ? primary.size : spare) - trailer;
}

bool update_possible(unsigned image) {
    const uint32_t ours = slot_area(image, PRIMARY).size / SECTOR, theirs = slot_area(image, SECONDARY).size / SECTOR;
    return (ours == theirs || ours + 1 == theirs) && ours <= BOOT_MAX_SECTORS;
}

bool update_size(struct swap *swap, uint32_t size) {
    swap->size = size;
    return sectors(size) * SECTOR <= trailer_sector(slot_area(swap->image, PRIMARY));
}

/* An old image that was swapped out lies at the start, where nobody uploads one. */
uint32_t update_place(unsigned image, enum swap_type type) {
    if (type == TYPE_REVERT)
        return 0;
    return image_has_magic(slot_area(image, SECONDARY), SECTOR) ? SECTOR : 0;
}

bool update_find(struct swap *swap) {
    const struct area primary = slot_area(swap->image, PRIMARY);
    const struct trailer there = trailer_read(primary);
    const bool set_up = there.magic == MARK_SET && there.copy_done == MARK_UNSET &&
                        trailer_read(slot_area(swap->image, SECONDARY)).magic != MARK_SET;
    swap->set_up = set_up;
    return (set_up || swap_end_is_torn(swap->image)) && swap_read(swap, primary);
}

/* Size of the TLV area that is not signed, of the image at a place; 0 if there is no image. */
static uint32_t ordinary_size(struct area area, uint32_t offset) {
    struct image image;
    struct tlv_walk walk;
    image_open(&image, area, offset);
    if (!image.valid || !tlv_begin(&walk, &image))
        return 0;
    return walk.end - walk.protected_end;
}

/*
 * One of the two trailers says at any time what is to be done. For a revert that is the primary's, which is
 * about to be rewritten, so the secondary gets one first that asks for a revert.
 */
static void set_up(const struct swap *swap) {
    const struct area primary = slot_area(swap->image, PRIMARY), secondary = slot_area(swap->image, SECONDARY);
    const uint32_t place = update_place(swap->image, swap->type);
    const uint32_t tlv_sizes = ordinary_size(primary, 0) | ordinary_size(secondary, place) << 16;
    const bool early = DEFECT(request_erased_too_early, true, false);
    if (swap->set_up) {
        trailer_set_sizes(primary, swap->size, tlv_sizes);
    } else {
        if (swap->type == DEFECT(revert_not_announced, TYPE_NONE, TYPE_REVERT) &&
            trailer_read(secondary).magic != MARK_SET) {
            trailer_erase(secondary);
            trailer_set_copy_done(secondary);
            swap_write_trailer(swap, secondary, tlv_sizes);
        }
        if (early)
            trailer_erase(secondary);
        trailer_erase(primary);
        swap_write_trailer(swap, primary, tlv_sizes);
    }
    if (!early) {
        trailer_withdraw(secondary);
        trailer_erase(secondary);
    }
}

/* Sectors of an image whose header lies here; all of them if it does not. Its TLVs may be elsewhere by now. */
static uint32_t used_sectors(const struct swap *swap, struct area area, uint32_t offset, uint32_t tlv_size) {
    struct image image;
    image_open(&image, area, offset);
    if (!image.valid || !tlv_size)
        return sectors(swap->size);
    return sectors(image.header_size + image.payload_size + image.protected_size + tlv_size);
}

/*
 * What is behind an image need not be moved. The headers that say where this is travel with the first
 * sectors: the status tells where they are now.
 */
static void find_used(const struct swap *swap, uint32_t *primarys, uint32_t *secondarys) {
    const struct area primary = slot_area(swap->image, PRIMARY), secondary = slot_area(swap->image, SECONDARY);
    const uint32_t sizes = trailer_read(primary).tlv_sizes, last = swap_last_entry(swap->size);
    const unsigned done = DEFECT(header_from_wrong_slot, 0, swap->done);
    struct area area = primary;
    uint32_t offset = 0;
    if (swap->type == TYPE_REVERT ? done > last - STATES : done > 0) {
        area = secondary;
        offset = swap->type == TYPE_REVERT ? SECTOR : 0;
    }
    *primarys = used_sectors(swap, area, offset, sizes & 0xFFFF);
    if (swap->type == TYPE_REVERT || done < STATES)
        area = secondary, offset = swap->type == TYPE_REVERT ? 0 : SECTOR;
    else
        area = primary, offset = 0;
    *secondarys = used_sectors(swap, area, offset, sizes >> 16);
}

/* One sector, one direction. One sector more than an image has is moved: MCUboot does so, too. */
static void exchange(struct swap *swap, uint32_t primarys, uint32_t secondarys) {
    const struct area primary = slot_area(swap->image, PRIMARY), secondary = slot_area(swap->image, SECONDARY);
    const bool revert = swap->type == TYPE_REVERT;
    const uint32_t pair = swap->done / STATES, number = revert ? sectors(swap->size) - 1 - pair : pair;
    const uint32_t at = number * SECTOR;
    const bool out = swap->done % STATES == 0;
    if (number > (out ? primarys : secondarys)) {
        trailer_set_status(primary, swap->done++, out ? 1 : 2);
    } else if (out) {
        const struct piece piece = {primary, at, secondary, revert ? at + SECTOR : at, SECTOR, SECTOR};
        swap_piece(swap, &piece, primary, 1);
    } else {
        const struct piece piece = {secondary, revert ? at : at + SECTOR, primary, at, SECTOR, SECTOR};
        swap_piece(swap, &piece, primary, 2);
    }
}

void update_run(struct swap *swap) {
    const struct area secondary = slot_area(swap->image, SECONDARY);
    uint32_t primarys, secondarys;
    if (swap->done == 0)
        set_up(swap);
    find_used(swap, &primarys, &secondarys);
    while (swap->done < swap_last_entry(swap->size))
        exchange(swap, primarys, secondarys);
    if (swap->type == TYPE_REVERT) { /* its first sector must not be taken for an image's */
        flash_erase(secondary, 0, SECTOR);
        trailer_erase(secondary);
    }
}

#endif
