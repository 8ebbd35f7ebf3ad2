/*
 * Swap by way of a scratch area: chunks of as many sectors as fit into it, from the end of the images to
 * their beginning. A chunk goes secondary -> scratch, primary -> secondary, scratch -> primary, and each of
 * the three is noted in the status.
 *
 * The status is kept in the primary's trailer. If the first chunk reaches into the sectors of that trailer
 * ("shared" below) they must be rewritten, too: until that is done the status is kept at the end of scratch.
 */
#include "board_config.h"

#ifdef BOOT_MODE_SCRATCH

#include "console.h"
#include "defects.h"
#include "swap.h"

const char mode_name[] = "scratch";

enum { TO_SCRATCH, TO_SECONDARY, TO_PRIMARY };

/* The part of the images that is exchanged in one go. */
struct chunk {
    uint32_t offset;
    uint32_t room; /* whole sectors */
    uint32_t size; /* less than that if the trailer begins in them */
    bool shared;
};

static uint32_t scratch_sectors(void) { return BOOT_SCRATCH_SIZE / SECTOR; }

static unsigned chunk_count(uint32_t size) {
    return (sectors(size) + scratch_sectors() - 1) / scratch_sectors();
}

unsigned swap_last_entry(uint32_t size) { return STATES * chunk_count(size); }

static struct chunk chunk_at(const struct swap *swap, unsigned number) {
    const struct area primary = slot_area(swap->image, PRIMARY);
    const uint32_t end = sectors(swap->size) - number * scratch_sectors();
    const uint32_t first = end > scratch_sectors() ? end - scratch_sectors() : 0;
    struct chunk chunk = {.offset = first * SECTOR, .room = (end - first) * SECTOR};
    chunk.size = chunk.room;
    if (number == 0 && end * SECTOR > trailer_sector(primary)) {
        chunk.size = trailer_start(primary) - chunk.offset;
        if (chunk.size > trailer_start(scratch_area()))
            chunk.size = trailer_start(scratch_area());
        chunk.shared = chunk.size != chunk.room;
    }
    return chunk;
}

uint32_t image_limit(unsigned image, enum slot slot) {
    const struct area area = slot_area(image, slot), scratch = scratch_area();
    const uint32_t start = trailer_start(area);
    const uint32_t inside = trailer_sector(area) + SECTOR - start;
    const uint32_t wanted = scratch.size - trailer_start(scratch);
    return wanted > inside ? start - (wanted - inside) : start; /* scratch holds that sector and its own trailer */
}

bool update_possible(unsigned image) {
    const uint32_t size = slot_area(image, PRIMARY).size;
    return size == slot_area(image, SECONDARY).size && size / SECTOR <= BOOT_MAX_SECTORS && scratch_sectors();
}

/* Of an old image that is too large, as much is kept as an image may have. */
bool update_size(struct swap *swap, uint32_t size) {
    const uint32_t limit = image_limit(swap->image, PRIMARY);
    swap->size = size < limit ? size : limit;
    return true;
}

uint32_t update_place(unsigned image, enum swap_type type) { return (void)image, (void)type, 0; }

bool update_find(struct swap *swap) {
    const struct area primary = slot_area(swap->image, PRIMARY);
    const struct trailer there = trailer_read(primary), scratch = trailer_read(scratch_area());
    if (scratch.magic == MARK_SET)
        return DEFECT(scratch_of_any_image, true, scratch.image == swap->image) && swap_read(swap, scratch_area());
    if (there.copy_done == MARK_UNSET && there.magic != MARK_BAD)
        return swap_read(swap, primary);
    return swap_end_is_torn(swap->image) && swap_read(swap, primary);
}

/* Erase scratch, with what it says about a swap made invalid before. */
static void clear_scratch(void) {
    trailer_withdraw(scratch_area());
    flash_erase(scratch_area(), 0, BOOT_SCRATCH_SIZE);
}

/*
 * Scratch describes the swap while the primary's trailer is being rewritten. If it does so already, because
 * power was lost there, it must not be erased: nothing else may know by now that there is something to do.
 * A shared chunk is different: its trailer stays as it is until the status says so.
 */
static void set_up(const struct swap *swap, bool shared) {
    const struct area primary = slot_area(swap->image, PRIMARY), scratch = scratch_area();
    const struct trailer there = trailer_read(scratch);
    const bool described = there.magic == MARK_SET && there.image == swap->image && there.type == swap->type &&
                           there.swap_size == swap->size;
    if (shared || !described) {
        clear_scratch();
        swap_write_trailer(swap, scratch, 0);
    }
    if (shared)
        return;
    if (DEFECT(scratch_erased_too_early, true, false))
        clear_scratch();
    trailer_erase(primary);
    swap_write_trailer(swap, primary, 0);
    clear_scratch();
}

/* The last step of a shared chunk: the primary gets its trailer, and scratch is of no use any more. */
static void end_shared_chunk(struct swap *swap, const struct chunk *chunk) {
    const struct area primary = slot_area(swap->image, PRIMARY), scratch = scratch_area();
    trailer_erase(primary);
    flash_erase(primary, chunk->offset, trailer_sector(primary) - chunk->offset);
    if (DEFECT(scratch_withdrawn_too_early, true, false))
        trailer_withdraw(scratch);
    flash_copy(scratch, 0, primary, chunk->offset, chunk->size);
    trailer_set_status(primary, TO_SCRATCH, TO_SCRATCH + 1);
    trailer_set_status(primary, TO_SECONDARY, TO_SECONDARY + 1);
    if (trailer_read(scratch).image_ok == MARK_SET)
        trailer_set_image_ok(primary);
    trailer_set_info(primary, swap->image, swap->type);
    trailer_set_sizes(primary, swap->size, 0);
    trailer_set_magic(primary);
    trailer_set_status(primary, TO_PRIMARY, TO_PRIMARY + 1);
    swap->done++;
    trailer_withdraw(scratch);
    flash_erase_tail(scratch, 0);
}

static void exchange(struct swap *swap, unsigned number, unsigned state) {
    const struct area primary = slot_area(swap->image, PRIMARY), secondary = slot_area(swap->image, SECONDARY);
    const struct area scratch = scratch_area();
    const struct chunk chunk = chunk_at(swap, number);
    const struct area status = chunk.shared ? scratch : primary;
    if (state == TO_SCRATCH) {
        if (number == 0)
            set_up(swap, chunk.shared);
        const struct piece piece = {secondary, chunk.offset, scratch, 0, chunk.size, number ? BOOT_SCRATCH_SIZE : 0};
        swap_piece(swap, &piece, status, TO_SCRATCH + 1);
    }
    if (state <= TO_SECONDARY) {
        const uint32_t room = chunk.shared ? trailer_sector(secondary) - chunk.offset : chunk.room;
        if (number == 0)
            trailer_erase(secondary); /* the status in the primary alone counts from here */
        const struct piece piece = {primary, chunk.offset, secondary, chunk.offset, chunk.size, room};
        swap_piece(swap, &piece, status, TO_SECONDARY + 1);
    }
    if (chunk.shared) {
        end_shared_chunk(swap, &chunk);
    } else {
        const struct piece piece = {scratch, 0, primary, chunk.offset, chunk.size, chunk.room};
        swap_piece(swap, &piece, status, TO_PRIMARY + 1);
    }
}

void update_run(struct swap *swap) {
    while (swap->done < swap_last_entry(swap->size))
        exchange(swap, swap->done / STATES, swap->done % STATES);
}

#endif
