#include "swap.h"

#include "defects.h"

#if defined(BOOT_MODE_SCRATCH) || defined(BOOT_MODE_MOVE) || defined(BOOT_MODE_OFFSET)

/* A size that cannot have been swapped is what is left of a trailer, not a swap. */
static bool plausible(unsigned image, uint32_t size) {
    return size && size <= trailer_start(slot_area(image, PRIMARY));
}

/* The size of the image that is in the primary's place now; for a planted defect only. */
static uint32_t size_there(unsigned image) {
    struct image there;
    image_open(&there, slot_area(image, PRIMARY), 0);
    return image_size(&there);
}

bool swap_read(struct swap *swap, struct area area) {
    const struct trailer trailer = trailer_read(area);
    swap->type = trailer.type;
    swap->done = trailer_status(area);
    if (!swap->done)
        return trailer.type != TYPE_NONE && DEFECT(announced_swap_ignored, false, true);
    swap->type = DEFECT(resumed_as_test, TYPE_TEST, swap->type);
    swap->size = DEFECT(swap_size_lost, size_there(swap->image), trailer.swap_size);
    if (swap->done < swap_last_entry(swap->size))
        swap->done += DEFECT(resumes_at_next_sector, STATES, 0);
    return plausible(swap->image, swap->size);
}

/*
 * Such a flag counts as "bad", and the image would stay without ever having been confirmed. It is only
 * taken for torn if all entries of the swap are there and nothing new is asked for.
 */
bool swap_end_is_torn(unsigned image) {
    const struct area primary = slot_area(image, PRIMARY);
    const struct trailer trailer = trailer_read(primary);
    return DEFECT(torn_end_ignored, false, true) && trailer.magic == MARK_SET && trailer.copy_done == MARK_BAD &&
           trailer.type != TYPE_NONE && plausible(image, trailer.swap_size) &&
           trailer_status(primary) == swap_last_entry(trailer.swap_size) &&
           trailer_read(slot_area(image, SECONDARY)).magic != MARK_SET;
}

void swap_write_trailer(const struct swap *swap, struct area area, uint32_t tlv_sizes) {
    trailer_set_info(area, swap->image, swap->type);
    if (trailer_read(slot_area(swap->image, SECONDARY)).image_ok == MARK_SET)
        trailer_set_image_ok(area);
    if (DEFECT(copy_done_too_early, true, false))
        trailer_set_copy_done(area);
    trailer_set_sizes(area, swap->size, tlv_sizes);
    DEFECT(magic_half_written, trailer_set_half_magic, trailer_set_magic)(area);
}

/*
 * copy_done is the very last thing: until then the swap is taken up again. An image that is not
 * to be tested is confirmed before, or it would be reverted.
 */
void swap_finish(const struct swap *swap) {
    const struct area primary = slot_area(swap->image, PRIMARY);
    if (DEFECT(magic_half_written, true, false))
        trailer_set_magic(primary);
    if (swap->type == TYPE_PERMANENT || swap->type == DEFECT(revert_not_confirmed, TYPE_NONE, TYPE_REVERT) ||
        DEFECT(test_confirmed_at_once, true, false))
        trailer_set_image_ok(primary);
    if (swap->type != TYPE_NONE)
        trailer_set_copy_done(primary);
}

void swap_piece(struct swap *swap, const struct piece *piece, struct area status, uint8_t value) {
    const bool early = DEFECT(status_before_copy, true, false);
    if (early)
        trailer_set_status(status, swap->done, value);
    flash_erase(piece->to, piece->to_offset, piece->room);
    flash_copy(piece->from, piece->from_offset, piece->to, piece->to_offset, piece->size);
    if (!early)
        trailer_set_status(status, swap->done, value);
    swap->done++;
}

#endif
