/*
 * The payload of data images: 32 bytes of header, then the content.
 *
 *   0  "MODL"
 *   4  bytes of content, u32 little endian
 *   8  CRC-32 (IEEE 802.3) of the content, u32 little endian
 *  12  version for people to read, 20 bytes, zero padded
 *
 * The version that counts is the one in the MCUboot header.
 */
#ifndef MODEL_H
#define MODEL_H

#include "image.h"

enum { MODEL_HEADER_SIZE = 32 };

struct model {
    uint32_t size, checksum;
};

/* Whether the payload claims to be a data image. */
bool model_recognised(const struct image *image);

/* Read the payload's header and check the content; false if it is none or damaged. */
bool model_open(struct model *model, const struct image *image);

#endif
