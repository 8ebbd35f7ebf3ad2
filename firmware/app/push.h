/* Packages that the server writes to resource 0, block by block (RFC 7959 section 2.5). */
#ifndef PUSH_H
#define PUSH_H

#include "coap_message.h"
#include "config.h"

/*
 * Take one block; returns the code to answer with. `base64` says that the body is text, in which
 * opaque values stand in base64. One byte 00 as the whole body is a reset.
 */
uint8_t push_block(unsigned component, struct block block, const uint8_t *data, size_t size, bool base64);

/* Whether a push is under way for any component. */
bool push_active(void);

void push_abort(unsigned component);

/* Give up a push of which nothing was heard for PUSH_TIMEOUT_MS. */
void push_poll(uint32_t now);

#endif
