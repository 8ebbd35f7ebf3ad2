/*
 * One update of one image, and what each way to carry it out offers. Exactly one of swap_scratch.c,
 * swap_move.c, swap_offset.c and overwrite.c is in a build; direct_xip.c needs nothing of this.
 */
#ifndef SWAP_H
#define SWAP_H

#include "image.h"
#include "trailer.h"

#ifdef BOOT_MODE_SCRATCH
enum { STATES = 3 }; /* status entries of a chunk */
#else
enum { STATES = 2 }; /* status entries of a sector that is exchanged */
#endif

struct swap {
    unsigned image;
    enum swap_type type;
    uint32_t size; /* bytes to exchange: the larger of both images */
    unsigned done; /* the status entry that comes next; 0: nothing has been moved */
    bool set_up;   /* the primary's trailer is that of this swap already */
};

/* Where execution goes on: address of a vector table, 0 if nothing can be booted. */
uint32_t boot(void);

extern const char mode_name[];

/* Largest image in a slot, header to end of TLVs. */
uint32_t image_limit(unsigned image, enum slot slot);

/* Whether the sizes of the slots allow updates. */
bool update_possible(unsigned image);

/* Offset in the secondary slot of the image that this swap brings into the primary. */
uint32_t update_place(unsigned image, enum swap_type type);

/* Set the bytes to exchange from the size of the larger image; false if there is no room for that. */
bool update_size(struct swap *swap, uint32_t size);

/* Look for a swap that has begun; true if there is one, `swap` then says how far it is. */
bool update_find(struct swap *swap);

/* Do what is left to do of it, but for the flags that end it. */
void update_run(struct swap *swap);

/* What the ways that swap have in common (swap.c). */

/* Status entries of a complete swap of so many bytes: the entry behind the last. */
unsigned swap_last_entry(uint32_t size);

/* Fill `swap` from the trailer that describes it; false if that describes none. */
bool swap_read(struct swap *swap, struct area area);

/* Whether power failed while copy_done was written. */
bool swap_end_is_torn(unsigned image);

/* Write a trailer that describes the swap, into erased flash. */
void swap_write_trailer(const struct swap *swap, struct area area, uint32_t tlv_sizes);

/* Say that the swap is complete. */
void swap_finish(const struct swap *swap);

/* A piece of an image and where it goes; `room` bytes are erased there. */
struct piece {
    struct area from;
    uint32_t from_offset;
    struct area to;
    uint32_t to_offset;
    uint32_t size, room;
};

/* Erase, copy, and only then note it as entry `swap->done` with `value` in the status of `status`. */
void swap_piece(struct swap *swap, const struct piece *piece, struct area status, uint8_t value);

#endif
