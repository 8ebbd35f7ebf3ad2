/*
 * SMP messages in lines of text between those of a console, as MCUmgr's serial transport has them:
 * a line starts with 06 09, or with 04 14 if it goes on with a message, and holds base64 of
 * size (u16), message, CRC-16 (u16, polynomial 1021, from 0), all in network order. No line has more than 127 bytes.
 */
#ifndef SMP_FRAME_H
#define SMP_FRAME_H

#include "base64.h"

/* A message with its size and checksum. */
enum { SMP_BUFFER = 2048 };

enum smp_frame_event {
    SMP_FRAME_OTHER,   /* the byte is none of ours */
    SMP_FRAME_BROKEN,  /* nor was the one before, which looked like it: SMP_FRAME_MARK */
    SMP_FRAME_TAKEN,
    SMP_FRAME_MESSAGE, /* `message` of `message_size` bytes came with a good checksum */
};

enum { SMP_FRAME_MARK = 6 };

/* Start with {0}. */
struct smp_frames {
    uint8_t where;
    bool begun; /* the first line of a message was good */
    size_t size;
    struct base64 base64;
    uint8_t data[SMP_BUFFER + 2]; /* base64_decode wants two bytes more */
    const uint8_t *message;
    size_t message_size;
    struct {
        uint32_t messages, checksum, malformed, oversized;
    } counts;
};

/* Take one byte of what is no slipmux frame. */
enum smp_frame_event smp_frame_receive(struct smp_frames *frames, uint8_t byte);

/* The rest of a line is not coming. */
void smp_frame_forget(struct smp_frames *frames);

typedef void smp_frame_sink(const uint8_t *data, size_t size);

/* Write one message as lines. */
void smp_frame_send(const uint8_t *message, size_t size, smp_frame_sink *sink);

#endif
