/* Observed resources (RFC 7641; OMA-TS-LightweightM2M_Core-V1_1 section 6.4). */
#ifndef OBSERVE_H
#define OBSERVE_H

#include "coap.h"
#include "objects.h"
#include "represent.h"

/*
 * Observe what has just been read into `representation`; false if there is no room for one more.
 * `block` is what the request asked for: notifications keep to its size.
 */
bool observe_add(const struct path *path, const struct coap_token *token, const struct representation *representation,
                 struct block block, uint32_t *number);

/* End the observation with this token. */
void observe_remove(const struct coap_token *token);
void observe_forget_all(void);

/* Notify of values that have changed. Cheap while nothing calls observe_changed(). */
void observe_poll(void);

/* Something that can be read may have changed. */
void observe_changed(void);

/* Put a representation, or the asked-for block of it, into a reply; returns the reply's code. */
uint8_t reply_with(struct coap_reply *reply, const struct representation *representation, struct block wanted);

#endif
