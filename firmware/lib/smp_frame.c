#include "smp_frame.h"

#include "bytes.h"

enum { FIRST_MARK = SMP_FRAME_MARK, FIRST_END = 9, NEXT_MARK = 4, NEXT_END = 20, LINE_END = '\n' };
enum { SIZE_SIZE = 2, CRC_SIZE = 2, LINE_BYTES = 93, LINE_MARKS = 2 };
enum { OUTSIDE, FIRST, NEXT, BODY, SKIP };

static uint16_t crc16(uint16_t crc, const uint8_t *data, size_t size) {
    for (; size; size--) {
        crc ^= (uint16_t)(*data++ << 8);
        for (unsigned bit = 0; bit < 8; bit++)
            crc = (uint16_t)(crc << 1 ^ (crc & 0x8000 ? 0x1021 : 0));
    }
    return crc;
}

static unsigned from_network(const uint8_t *data) { return (unsigned)data[0] << 8 | data[1]; }

/* The line ended well: is the message whole? */
static enum smp_frame_event end_line(struct smp_frames *f) {
    f->where = OUTSIDE;
    f->begun = base64_complete(&f->base64) && f->size >= SIZE_SIZE + CRC_SIZE;
    const size_t wanted = f->begun ? SIZE_SIZE + from_network(f->data) : 0;
    if (!f->begun || f->size > wanted) {
        f->begun = false;
        f->counts.malformed++;
        return SMP_FRAME_TAKEN;
    }
    if (f->size < wanted)
        return SMP_FRAME_TAKEN;
    f->begun = false;
    if (crc16(0, f->data + SIZE_SIZE, f->size - SIZE_SIZE)) {
        f->counts.checksum++;
        return SMP_FRAME_TAKEN;
    }
    f->counts.messages++;
    f->message = f->data + SIZE_SIZE;
    f->message_size = f->size - SIZE_SIZE - CRC_SIZE;
    return SMP_FRAME_MESSAGE;
}

static void give_up(struct smp_frames *f, uint32_t *count) {
    ++*count;
    f->begun = false;
    f->where = SKIP;
}

static enum smp_frame_event receive_body(struct smp_frames *f, uint8_t byte) {
    size_t size;
    if (byte == LINE_END)
        return end_line(f);
    if (byte == '\r')
        return SMP_FRAME_TAKEN;
    if (f->size >= SMP_BUFFER)
        give_up(f, &f->counts.oversized);
    else if (!base64_decode(&f->base64, &byte, 1, f->data + f->size, &size))
        give_up(f, &f->counts.malformed);
    else
        f->size += size;
    return SMP_FRAME_TAKEN;
}

static enum smp_frame_event begin(struct smp_frames *f, bool first) {
    f->where = BODY;
    f->base64 = (struct base64){0};
    if (first)
        f->size = 0;
    else if (!f->begun)
        give_up(f, &f->counts.malformed); /* its beginning was lost */
    return SMP_FRAME_TAKEN;
}

enum smp_frame_event smp_frame_receive(struct smp_frames *f, uint8_t byte) {
    const uint8_t before = f->where;
    if (before == BODY)
        return receive_body(f, byte);
    if (before == SKIP) {
        f->where = byte == LINE_END ? OUTSIDE : SKIP;
        return SMP_FRAME_TAKEN;
    }
    if ((before == FIRST && byte == FIRST_END) || (before == NEXT && byte == NEXT_END))
        return begin(f, before == FIRST);
    f->where = byte == FIRST_MARK ? FIRST : byte == NEXT_MARK ? NEXT : OUTSIDE;
    if (f->where != OUTSIDE)
        return SMP_FRAME_TAKEN;
    return before == OUTSIDE ? SMP_FRAME_OTHER : SMP_FRAME_BROKEN;
}

void smp_frame_forget(struct smp_frames *f) {
    f->where = OUTSIDE;
    f->begun = false;
}

/* --- sending --- */

/* Byte `at` of what the lines hold. */
static uint8_t byte_at(const uint8_t *message, size_t size, uint16_t crc, size_t at) {
    const size_t total = size + CRC_SIZE;
    if (at < SIZE_SIZE)
        return (uint8_t)(total >> (at ? 0 : 8));
    at -= SIZE_SIZE;
    return at < size ? message[at] : (uint8_t)(crc >> (at == size ? 8 : 0));
}

void smp_frame_send(const uint8_t *message, size_t size, smp_frame_sink *sink) {
    const size_t total = SIZE_SIZE + size + CRC_SIZE;
    const uint16_t crc = crc16(0, message, size);
    for (size_t at = 0; at < total;) {
        uint8_t raw[LINE_BYTES], line[LINE_MARKS + BASE64_SIZE(LINE_BYTES) + 1];
        size_t count = 0;
        while (count < LINE_BYTES && at + count < total) {
            raw[count] = byte_at(message, size, crc, at + count);
            count++;
        }
        line[0] = at ? NEXT_MARK : FIRST_MARK;
        line[1] = at ? NEXT_END : FIRST_END;
        size_t end = LINE_MARKS + base64_encode(raw, count, line + LINE_MARKS);
        line[end++] = LINE_END;
        sink(line, end);
        at += count;
    }
}
