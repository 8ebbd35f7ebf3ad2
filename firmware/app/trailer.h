/* The trailer of a slot as the application sees and writes it (MCUboot design document, "Image trailer"). */
#ifndef TRAILER_H
#define TRAILER_H

#include "bytes.h"
#include "slots.h"

enum { TRAILER_MAGIC_SIZE = 16 };
#define TRAILER_FIELDS (BOOT_OFFSET ? 5u : 4u)
#define TRAILER_MAGIC_ROOM (BOOT_MAX_ALIGNMENT < TRAILER_MAGIC_SIZE ? TRAILER_MAGIC_SIZE : BOOT_MAX_ALIGNMENT)
#define TRAILER_INFO_SIZE (TRAILER_FIELDS * BOOT_MAX_ALIGNMENT + TRAILER_MAGIC_ROOM)

enum trailer_magic { MAGIC_UNSET, MAGIC_GOOD, MAGIC_BAD };
enum trailer_flag { FLAG_UNSET, FLAG_SET, FLAG_BAD };

struct trailer {
    enum trailer_magic magic;
    enum trailer_flag image_ok, copy_done;
    uint8_t swap_info; /* image number in the high, kind of swap in the low four bits; 0xFF if erased */
};

struct trailer trailer_read(struct area slot);

/* Address of a field. */
uint32_t trailer_swap_info(struct area slot);

/*
 * Ask the boot loader to install what is in the slot for updates, on trial or for good. As
 * boot_set_pending_multi: nothing is written if a request stands already; false if there is no
 * telling what stands there, or the flash does not take it.
 */
bool trailer_set_pending(unsigned component, bool permanent);

/* Take back a request that the boot loader did not carry out; otherwise it would be tried at each start. */
bool trailer_withdraw(unsigned component);

/* Keep the image in use. As boot_set_confirmed_multi: an image without a trailer needs no confirmation. */
bool trailer_confirm(unsigned component);

#endif
