/*
 * Slipmux: CoAP messages and console text on one serial line (RFC 1055 framing, frame types of
 * draft-bormann-t2trg-slipmux-03, FCS-16 of RFC 1662 appendix C).
 */
#ifndef SLIPMUX_H
#define SLIPMUX_H

#include "config.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum slipmux_event {
    SLIPMUX_NOTHING,
    SLIPMUX_MESSAGE,    /* `message` of `message_size` bytes came with a good checksum */
    SLIPMUX_TEXT,       /* the byte is console text, from a diagnostic frame or from between frames */
    SLIPMUX_TEXT_START, /* a diagnostic frame begins: text that came before it is no part of it */
    SLIPMUX_TEXT_END,   /* it ended */
    SLIPMUX_TEXT_LOST,  /* it was broken off: forget what came of it */
};

enum { SLIPMUX_FRAME_MAX = 1 + MESSAGE_MAX + 2 };

/* Start with {0}. */
struct slipmux {
    uint8_t where;
    bool escape;
    size_t size;
    uint8_t frame[SLIPMUX_FRAME_MAX];
    const uint8_t *message;
    size_t message_size;
    struct {
        uint32_t frames, checksum, escape, aborted, oversized, short_ones;
    } counts;
};

/* Take one byte from the line. */
enum slipmux_event slipmux_receive(struct slipmux *slipmux, uint8_t byte);

typedef void slipmux_sink(const uint8_t *data, size_t size);

/* Write one frame. */
void slipmux_send_message(const uint8_t *message, size_t size, slipmux_sink *sink);
void slipmux_send_text(const char *text, size_t size, slipmux_sink *sink);

#endif
