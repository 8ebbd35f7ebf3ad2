/*
 * The serial line: CoAP messages and console text, by slipmux, and SMP messages in lines between the frames.
 * Messages are sent with link_send() of platform.h and smp_send() of smp.h.
 */
#ifndef LINK_H
#define LINK_H

#include "slipmux.h"
#include "smp_frame.h"

/* Take what has arrived; true if it was a message, and there may be more. */
bool link_poll(void);

/* Send console text. */
void link_print(const char *text, size_t size);

const struct slipmux *link_state(void);
const struct smp_frames *link_smp_state(void);
uint32_t link_sent(void);
uint32_t link_overruns(void);

#endif
