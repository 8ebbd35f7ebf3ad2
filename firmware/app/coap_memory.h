/* Which requests were answered lately, so that a repeated one is not carried out again (RFC 7252 section 4.5). */
#ifndef COAP_MEMORY_H
#define COAP_MEMORY_H

#include <stddef.h>
#include <stdint.h>

enum coap_familiarity { COAP_FIRST, COAP_DUPLICATE };

/*
 * Look a request up, and remember it if it is new. A repetition has the id and the bytes (here:
 * their checksum) of the first; a peer that was restarted may use an id again. For a duplicate,
 * `answer` is what was sent, with size 0 if that was too long to keep.
 */
enum coap_familiarity coap_remember(uint16_t id, uint32_t fingerprint, uint32_t now, const uint8_t **answer, size_t *size);

/* Keep the answer to the request that was remembered last. */
void coap_remember_answer(const uint8_t *answer, size_t size);

#endif
