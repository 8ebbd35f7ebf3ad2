/* Small bodies that come block by block (RFC 7959 section 2.5). Packages do not go through here: they go to flash. */
#ifndef ASSEMBLY_H
#define ASSEMBLY_H

#include "coap_message.h"
#include "objects.h"

struct body {
    const uint8_t *data;
    size_t size;
};

/*
 * Add a request's payload to the body of its path and method. Returns 0 when the body is
 * complete; else the code to answer with: 2.31, 4.00, 4.08 or 4.13.
 */
uint8_t assembly_add(struct body *body, uint8_t method, const struct path *path, struct block block, const uint8_t *data,
                     size_t size);

#endif
