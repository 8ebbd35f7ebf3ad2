/*
 * What stands in for a boot loader: it installs what is pending and takes back what nobody confirmed,
 * as swap by scratch leaves the slots. It checks nothing and cannot be interrupted.
 */
#include <stdlib.h>
#include <string.h>

#include "native.h"
#include "slots.h"
#include "trailer.h"

#ifndef BOOT_MODE_SCRATCH
#error "only swap by scratch is stood in for"
#endif

enum { SWAP_TEST = 2, SWAP_PERMANENT = 3, SWAP_REVERT = 4, SET = 1 };

static void trade(unsigned component) {
    const struct area first = slot_primary(component), second = slot_secondary(component);
    uint8_t *old = malloc(first.size);
    if (!old || first.size != second.size)
        native_fail("slots of component %u cannot be swapped", component);
    memcpy(old, native_flash(first.address), first.size);
    memcpy(native_flash(first.address), native_flash(second.address), first.size);
    memcpy(native_flash(second.address), old, first.size);
    free(old);
}

/* Erase a slot's trailer; with a type, write one that says that this was done. */
static void mark(struct area slot, unsigned type, bool confirmed) {
    const uint32_t start = slot_trailer_start(slot), size = slot.address + slot.size - start;
    uint8_t magic[TRAILER_MAGIC_SIZE];
    uint8_t *end = native_flash(slot.address + slot.size);
    memcpy(magic, end - sizeof magic, sizeof magic);
    memset(native_flash(start), 0xFF, size);
    if (!type)
        return;
    memcpy(end - sizeof magic, magic, sizeof magic);
    *(native_flash(trailer_swap_info(slot))) = (uint8_t)type;
    *(native_flash(trailer_swap_info(slot)) + BOOT_MAX_ALIGNMENT) = SET; /* copy_done */
    if (confirmed)
        *(native_flash(trailer_swap_info(slot)) + 2 * BOOT_MAX_ALIGNMENT) = SET; /* image_ok */
}

static void boot(unsigned component) {
    const struct area first = slot_primary(component), second = slot_secondary(component);
    const struct trailer running = trailer_read(first), pending = trailer_read(second);
    if (pending.magic == MAGIC_GOOD) {
        const bool permanent = pending.image_ok == FLAG_SET;
        trade(component);
        mark(first, permanent ? SWAP_PERMANENT : SWAP_TEST, permanent);
        mark(second, 0, false);
    } else if (running.magic == MAGIC_GOOD && running.copy_done == FLAG_SET && running.image_ok == FLAG_UNSET) {
        uint8_t magic[TRAILER_MAGIC_SIZE];
        memcpy(magic, native_flash(first.address + first.size) - sizeof magic, sizeof magic);
        trade(component);
        memcpy(native_flash(first.address + first.size) - sizeof magic, magic, sizeof magic);
        mark(first, SWAP_REVERT, true);
        mark(second, 0, false);
    }
}

void native_boot(void) {
    for (unsigned component = 0; component < COMPONENTS; component++)
        boot(component);
}
