/* Images: header, TLV entries, and whether all of it is what the owner of the key has signed. */
#ifndef IMAGE_H
#define IMAGE_H

#include "flash.h"

struct version {
    uint8_t major, minor;
    uint16_t revision;
    uint32_t build;
};

enum header_state {
    HEADER_ERASED,
    HEADER_NOT_BOOTABLE,
    HEADER_BAD,
    HEADER_GOOD,
};

/* An image where it lies; `room` is what the slot has from its first byte on. */
struct image {
    const uint8_t *start;
    uint32_t room;
    bool valid; /* the header can be one of an image, bootable or not; else its sizes are read as 0 */
    uint32_t flags, load_address;
    uint32_t header_size, payload_size, protected_size;
    struct version version;
};

/* Read the header. */
enum header_state image_open(struct image *image, struct area area, uint32_t offset);

/* Whether there is an image header's magic at a place. */
bool image_has_magic(struct area area, uint32_t offset);

/* Size with all TLVs, 0 if the TLV areas are not where the header says. */
uint32_t image_size(const struct image *image);

/* Why the image is not valid, NULL if it is. `number` is the image number, `limit` the largest size. */
const char *image_problem(const struct image *image, unsigned number, uint32_t limit);

/* Security counter; false if there is none. */
bool image_counter(const struct image *image, uint32_t *counter);

/* Compare versions: negative if `left` is lower, 0 if they count as equal. */
int version_compare(const struct version *left, const struct version *right);

/* TLV entries one after the other. */
struct tlv {
    uint32_t type, size;
    const uint8_t *data;
    bool is_protected;
};

struct tlv_walk {
    const struct image *image;
    uint32_t at, protected_end, end;
};

enum tlv_result { TLV_FOUND, TLV_END, TLV_BROKEN };

bool tlv_begin(struct tlv_walk *walk, const struct image *image);
enum tlv_result tlv_next(struct tlv_walk *walk, struct tlv *tlv);

enum {
    TLV_KEY_HASH = 0x01,
    TLV_PUBLIC_KEY = 0x02,
    TLV_SHA256 = 0x10,
    TLV_ED25519 = 0x24,
    TLV_PURE = 0x25,
    TLV_DEPENDENCY = 0x40,
    TLV_SECURITY_COUNTER = 0x50,
};

#endif
