/*
 * What happens at a boot, in the order that MCUboot does it: image by image an interrupted swap is finished
 * or the request is read and its image validated; then the dependencies of everything that is to change;
 * then the changes, image by image; then all primaries are validated and image 0 runs.
 */
#include "board_config.h"

#if !defined(BOOT_MODE_DIRECT_XIP) && !defined(BOOT_MODE_DIRECT_XIP_REVERT)

#include "console.h"
#include "counter.h"
#include "defects.h"
#include "rules.h"
#include "swap.h"

#if defined(BOOT_MODE_OVERWRITE_ONLY) || defined(BOOT_MODE_OVERWRITE_ONLY_FAST)
enum { SWAPS = 0 };
#else
enum { SWAPS = 1 };
#endif
#ifdef BOOT_MODE_MOVE
enum { MOVES = 1 };
#else
enum { MOVES = 0 };
#endif
enum { NEEDS_PRIMARY = MOVES || HAS_TLV_SIZES }; /* these modes only ever exchange two images */

static struct swap swaps[BOOT_IMAGES];

static const char *type_name(enum swap_type type) {
    static const char *const names[] = {"", "none", "test", "permanent", "revert", "fail"};
    return names[type];
}

static bool changes(enum swap_type type) {
    return type == TYPE_TEST || type == TYPE_PERMANENT || type == TYPE_REVERT;
}

/*
 * What the trailers ask for. While a revert begins in move mode, the secondary looks like a permanent
 * update; swap_size, which no application writes, tells it from one.
 */
static enum swap_type requested(unsigned image) {
    const struct trailer primary = trailer_read(slot_area(image, PRIMARY));
    const struct trailer secondary = trailer_read(slot_area(image, SECONDARY));
    if (secondary.magic == MARK_SET && secondary.image_ok == MARK_UNSET)
        return HAS_TLV_SIZES && secondary.copy_done == MARK_SET ? TYPE_REVERT : TYPE_TEST;
    if (secondary.magic == MARK_SET && secondary.image_ok == MARK_SET)
        return MOVES && secondary.swap_size != SIZE_UNKNOWN ? TYPE_REVERT : TYPE_PERMANENT;
    if (primary.magic == MARK_SET && primary.image_ok == MARK_UNSET && primary.copy_done == MARK_SET)
        return DEFECT(ignore_missing_confirm, TYPE_NONE, TYPE_REVERT);
    return TYPE_NONE;
}

/* Erase the whole slot, so that its image is not looked at again at each boot. */
static bool refuse(unsigned image, const char *why) {
    const struct area secondary = slot_area(image, SECONDARY);
    say("image %u: secondary refused: %s", image, why);
    if (DEFECT(invalid_image_kept, false, true))
        flash_erase(secondary, 0, secondary.size);
    return false;
}

/*
 * A request without an image is what is left when an erase was interrupted: it would keep applications from
 * making the next one. In move mode a revert that has lost its image must be forgotten in the primary, too.
 */
static bool drop_request(const struct swap *swap) {
    const struct area primary = slot_area(swap->image, PRIMARY), secondary = slot_area(swap->image, SECONDARY);
    say("image %u: no image to install", swap->image);
    if (SWAPS && DEFECT(leftover_request_kept, false, true) &&
        !flash_is_erased(flash_at(secondary, trailer_sector(secondary)), secondary.size - trailer_sector(secondary)))
        trailer_erase(secondary);
    if (MOVES && (swap->type == TYPE_REVERT || requested(swap->image) == TYPE_REVERT))
        trailer_erase(primary);
    return false;
}

/* Whether the secondary's image can be installed; what cannot be is removed. */
static bool secondary_good(const struct swap *swap, bool announced) {
    const struct area secondary = slot_area(swap->image, SECONDARY);
    const uint32_t place = update_place(swap->image, swap->type);
    struct image current, newer;
    const enum header_state state = image_open(&newer, secondary, place);
    if (state == HEADER_ERASED || state == HEADER_NOT_BOOTABLE)
        return drop_request(swap);
    if (HAS_TLV_SIZES && swap->type != TYPE_REVERT && image_has_magic(secondary, 0) && !(announced && place))
        return refuse(swap->image, "uploaded to the first sector"); /* or the old one, if the swap has begun */
    if (!SWAPS && image_open(&current, slot_area(swap->image, PRIMARY), 0) != HEADER_ERASED &&
        is_downgrade(&current, &newer))
        return refuse(swap->image, "older than what is there");
    if (state != HEADER_GOOD)
        return refuse(swap->image, "header is wrong");
    const char *const problem = image_problem(&newer, swap->image, image_limit(swap->image, SECONDARY));
    return !problem || refuse(swap->image, problem);
}

/*
 * Images that were updated before a higher one, when power was lost, look like ones that were not confirmed.
 * Nobody had a chance to confirm them yet.
 */
static void keep_lower_images(unsigned image) {
    for (unsigned lower = 0; lower < image; lower++)
        if (swaps[lower].type == TYPE_REVERT && DEFECT(updated_images_reverted, false, true)) {
            say("image %u: stays, the update of image %u is not finished", lower, image);
            swaps[lower].type = TYPE_NONE;
        }
}

static void resume(struct swap *swap) {
    say("image %u: %s goes on at step %u", swap->image, type_name(swap->type), swap->done);
    keep_lower_images(swap->image);
    update_run(swap);
    swap_finish(swap);
    swap->type = TYPE_NONE;
}

static void prepare(struct swap *swap) {
    if (!update_possible(swap->image)) {
        say("image %u: slots do not allow updates", swap->image);
        return;
    }
    const bool found = SWAPS && update_find(swap);
    if (found && swap->done) {
        resume(swap);
        return;
    }
    if (NEEDS_PRIMARY && !image_has_magic(slot_area(swap->image, PRIMARY), 0)) {
        *swap = (struct swap){.image = swap->image, .type = TYPE_NONE};
        return;
    }
    if (!found)
        *swap = (struct swap){.image = swap->image, .type = requested(swap->image)};
    if (swap->type == TYPE_NONE)
        return;
    if (!secondary_good(swap, found))
        swap->type = found ? TYPE_FAIL : TYPE_NONE;
    if (swap->type != TYPE_NONE && swap->type != TYPE_REVERT)
        keep_lower_images(swap->image);
}

/* The image that will be active if everything that is wanted is done. */
static void open_active(struct image *active, unsigned image) {
    const struct swap *const swap = &swaps[image];
    if (changes(swap->type))
        image_open(active, slot_area(image, SECONDARY), update_place(image, swap->type));
    else
        image_open(active, slot_area(image, PRIMARY), 0);
}

/* One image whose needs are not met stops all, and all is tried again at the next boot. */
static void check_dependencies(void) {
    struct image active[BOOT_IMAGES];
    bool wanted = false, met = true;
    for (unsigned image = 0; image < BOOT_IMAGES; image++) {
        wanted = wanted || changes(swaps[image].type);
        open_active(&active[image], image);
    }
    for (unsigned image = 0; wanted && met && image < BOOT_IMAGES; image++)
        met = dependencies_met(image, &active[image], active);
    for (unsigned image = 0; !met && image < BOOT_IMAGES; image++)
        swaps[image].type = TYPE_NONE;
}

static void perform(struct swap *swap) {
    struct image current, newer;
    image_open(&current, slot_area(swap->image, PRIMARY), 0);
    if (swap->type == TYPE_FAIL && trailer_read(slot_area(swap->image, PRIMARY)).image_ok == MARK_UNSET)
        trailer_set_image_ok(slot_area(swap->image, PRIMARY)); /* there is nothing to go back to */
    if (!changes(swap->type))
        return;
    image_open(&newer, slot_area(swap->image, SECONDARY), update_place(swap->image, swap->type));
    if (SWAPS && swap->type != TYPE_REVERT && is_downgrade(&current, &newer)) {
        refuse(swap->image, "older than what is there");
        return;
    }
    const uint32_t old = image_size(&current), new = image_size(&newer);
    const bool fits = update_size(swap, old > new ? old : new);
    if (fits) {
        say("image %u: %s, installs %v", swap->image, type_name(swap->type), &newer.version);
        update_run(swap);
    } else {
        say("image %u: no room to swap what is there", swap->image);
    }
    if (SWAPS)
        swap_finish(swap);
    if (fits && swap->type == TYPE_PERMANENT && image_open(&newer, slot_area(swap->image, PRIMARY), 0) == HEADER_GOOD)
        counter_raise(swap->image, &newer);
}

/* The last word on every image, whatever was done before. */
static bool primary_good(unsigned image) {
    const struct area primary = slot_area(image, PRIMARY);
    const struct trailer trailer = trailer_read(primary);
    struct image there;
    const enum header_state state = image_open(&there, primary, 0);
    const char *problem = 0;
    if (state != HEADER_GOOD)
        problem = state == HEADER_ERASED ? "empty" : state == HEADER_NOT_BOOTABLE ? "not bootable" : "header is wrong";
    else if (DEFECT(primary_not_validated, false, true))
        problem = image_problem(&there, image, image_limit(image, PRIMARY));
    if (problem) {
        say("image %u: primary refused: %s", image, problem);
        return false;
    }
    say("image %u: %v%s", image, &there.version,
        trailer.magic == MARK_SET && trailer.image_ok != MARK_SET ? " on test" : "");
    if (DEFECT(counter_raised_too_early, true, trailer.magic != MARK_SET || trailer.image_ok == MARK_SET))
        counter_raise(image, &there);
    return true;
}

uint32_t boot(void) {
    for (unsigned image = 0; image < BOOT_IMAGES; image++) {
        swaps[image] = (struct swap){.image = image, .type = TYPE_NONE};
        prepare(&swaps[image]);
    }
    if (BOOT_IMAGES > 1)
        check_dependencies();
    for (unsigned image = 0; image < BOOT_IMAGES; image++)
        perform(&swaps[image]);
    for (unsigned image = 0; image < BOOT_IMAGES; image++)
        if (!primary_good(image))
            return 0;
    struct image first;
    image_open(&first, slot_area(0, PRIMARY), 0);
    return slot_area(0, PRIMARY).address + first.header_size;
}

#endif
