/*
 * Swap without a scratch area: the primary's image is moved up by one sector, from its last sector to the
 * first, and then sector after sector goes secondary -> primary, moved-up primary -> secondary.
 *
 * The status stays in the primary's trailer: one entry for each sector moved up, and from entry
 * BOOT_MAX_SECTORS on two for each sector exchanged.
 */
#include "board_config.h"

#ifdef BOOT_MODE_MOVE

#include "console.h"
#include "defects.h"
#include "swap.h"

const char mode_name[] = "move";

enum { FIRST_PAIR = BOOT_MAX_SECTORS };

unsigned swap_last_entry(uint32_t size) { return FIRST_PAIR + STATES * sectors(size); }

uint32_t image_limit(unsigned image, enum slot slot) {
    (void)slot; /* both images pass through both slots */
    const struct area primary = slot_area(image, PRIMARY);
    const uint32_t trailer = primary.size - trailer_sector(primary);
    const uint32_t spare = primary.size - SECTOR, other = slot_area(image, SECONDARY).size;
    return (spare < other ? spare : other) - trailer;
}

bool update_possible(unsigned image) {
    const uint32_t ours = slot_area(image, PRIMARY).size / SECTOR, theirs = slot_area(image, SECONDARY).size / SECTOR;
    return (ours == theirs || ours == theirs + 1) && ours <= BOOT_MAX_SECTORS;
}

bool update_size(struct swap *swap, uint32_t size) {
    swap->size = size;
    return (sectors(size) + 1) * SECTOR <= trailer_sector(slot_area(swap->image, PRIMARY));
}

uint32_t update_place(unsigned image, enum swap_type type) { return (void)image, (void)type, 0; }

bool update_find(struct swap *swap) {
    const struct area primary = slot_area(swap->image, PRIMARY);
    const struct trailer there = trailer_read(primary);
    const bool set_up = there.magic == MARK_SET && there.copy_done == MARK_UNSET &&
                        trailer_read(slot_area(swap->image, SECONDARY)).magic != MARK_SET;
    swap->set_up = set_up;
    return (set_up || swap_end_is_torn(swap->image)) && swap_read(swap, primary);
}

/*
 * One of the two trailers says at any time what is to be done. For a revert that is the primary's, which is
 * about to be rewritten, so the secondary is made to look like a permanent update first.
 */
static void set_up(const struct swap *swap) {
    const struct area primary = slot_area(swap->image, PRIMARY), secondary = slot_area(swap->image, SECONDARY);
    const bool early = DEFECT(request_erased_too_early, true, false);
    if (swap->set_up) {
        trailer_set_sizes(primary, swap->size, 0);
    } else {
        if (swap->type == DEFECT(revert_not_announced, TYPE_NONE, TYPE_REVERT) &&
            trailer_read(secondary).magic != MARK_SET) {
            trailer_erase(secondary);
            trailer_set_image_ok(secondary);
            trailer_set_sizes(secondary, swap->size, 0);
            trailer_set_magic(secondary);
        }
        if (early)
            trailer_erase(secondary);
        trailer_erase(primary);
        swap_write_trailer(swap, primary, 0);
    }
    if (!early) {
        trailer_withdraw(secondary);
        trailer_erase(secondary);
    }
}

static void move_up(struct swap *swap) {
    const struct area primary = slot_area(swap->image, PRIMARY);
    const uint32_t to = (sectors(swap->size) - swap->done) * SECTOR;
    const struct piece piece = {primary, to - SECTOR, primary, to, SECTOR, SECTOR};
    swap_piece(swap, &piece, primary, 1);
}

static void exchange(struct swap *swap) {
    const struct area primary = slot_area(swap->image, PRIMARY), secondary = slot_area(swap->image, SECONDARY);
    const uint32_t at = (swap->done - FIRST_PAIR) / STATES * SECTOR;
    if ((swap->done - FIRST_PAIR) % STATES == 0) {
        const struct piece piece = {secondary, at, primary, at, SECTOR, SECTOR};
        swap_piece(swap, &piece, primary, 1);
    } else {
        const struct piece piece = {primary, at + SECTOR, secondary, at, SECTOR, SECTOR};
        swap_piece(swap, &piece, primary, 2);
    }
}

void update_run(struct swap *swap) {
    if (swap->done == 0)
        set_up(swap);
    while (swap->done < sectors(swap->size))
        move_up(swap);
    if (swap->done < FIRST_PAIR)
        swap->done = FIRST_PAIR;
    while (swap->done < swap_last_entry(swap->size))
        exchange(swap);
}

#endif
