/* Images in flash: header, TLV areas and digest (MCUboot design document, "Image format"). */
#ifndef IMAGE_H
#define IMAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "bytes.h"

enum { IMAGE_HEADER_SIZE = 32, DIGEST_SIZE = 32 };
enum { IMAGE_MAGIC = (int)0x96F3B83D };

/* Header flags of images that the reference boot loader cannot install. */
enum {
    IMAGE_FLAG_ENCRYPTED = 0x4 | 0x8,
    IMAGE_FLAG_NOT_BOOTABLE = 0x10,
    IMAGE_FLAG_RAM_LOAD = 0x20,
    IMAGE_FLAG_FIXED_ADDRESS = 0x100,
    IMAGE_FLAG_COMPRESSED = 0x200 | 0x400 | 0x800,
};

struct version {
    uint8_t major, minor;
    uint16_t revision;
    uint32_t build;
};

struct image {
    uint32_t address, load_address, header_size, protected_size, payload_size, flags;
    uint32_t size; /* header to end of TLVs */
    struct version version;
};

/* Least version of another component that an image asks for. */
struct dependency {
    uint8_t component;
    struct version least;
};

/* Read the header alone; false without the magic, or with sizes beyond `limit`. */
bool image_header(struct image *image, const uint8_t header[IMAGE_HEADER_SIZE], uint32_t limit);

/* Read header and TLV areas of the image at an address; false if they do not fit together or exceed `limit`. */
bool image_open(struct image *image, uint32_t address, uint32_t limit);

const uint8_t *image_payload(const struct image *image);

/* The image's SHA-256 as its TLV says, NULL if it has none; and whether the content has that digest. */
const uint8_t *image_digest(const struct image *image);
bool image_intact(const struct image *image);

/* SHA-256 of what lies in flash; takes care of the watchdog. */
void image_hash(uint32_t address, uint32_t size, uint8_t digest[DIGEST_SIZE]);

/* The dependency of this number, counted from 0; false if there are not so many. */
bool image_dependency(const struct image *image, unsigned number, struct dependency *dependency);

/* Order of versions as the boot loader sees it: the build number does not count. */
int version_compare(struct version left, struct version right);
bool version_same(struct version left, struct version right);
void text_add_version(struct text *text, struct version version);

#endif
