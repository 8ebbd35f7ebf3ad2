#include "slipmux.h"

#include "bytes.h"

enum { END = 0xC0, ESC = 0xDB, ESC_END = 0xDC, ESC_ESC = 0xDD };
enum { TYPE_COAP = 0xA9, TYPE_TEXT = 0x0A };
enum { FCS_START = 0xFFFF, FCS_GOOD = 0xF0B8, FCS_SIZE = 2, COAP_HEADER_SIZE = 4 };

/*
 * The draft gives text and CoAP a type each, and IP packets the rest of what concerns us. There is
 * no IP on our lines, so any other first byte is taken for text that a person typed after a frame.
 */
enum { PLAIN, START, COAP, TEXT, SKIP };

static uint16_t fcs(uint16_t crc, const uint8_t *data, size_t size) {
    static const uint16_t half_bytes[16] = {
        0x0000, 0x1081, 0x2102, 0x3183, 0x4204, 0x5285, 0x6306, 0x7387,
        0x8408, 0x9489, 0xa50a, 0xb58b, 0xc60c, 0xd68d, 0xe70e, 0xf78f,
    };
    for (; size; size--) {
        crc ^= *data++;
        crc = (uint16_t)(crc >> 4 ^ half_bytes[crc & 15]);
        crc = (uint16_t)(crc >> 4 ^ half_bytes[crc & 15]);
    }
    return crc;
}

static enum slipmux_event finish(struct slipmux *s) {
    if (s->size < 1 + COAP_HEADER_SIZE + FCS_SIZE) {
        s->counts.short_ones++;
        return SLIPMUX_NOTHING;
    }
    if (fcs(FCS_START, s->frame, s->size) != FCS_GOOD) {
        s->counts.checksum++;
        return SLIPMUX_NOTHING;
    }
    s->counts.frames++;
    s->message = s->frame + 1;
    s->message_size = s->size - 1 - FCS_SIZE;
    return SLIPMUX_MESSAGE;
}

/* Leave a frame that cannot be used; the rest of it, up to the next END, is skipped. */
static enum slipmux_event drop(struct slipmux *s, uint32_t *count, uint8_t next) {
    const bool text = s->where == TEXT;
    ++*count;
    s->where = next;
    return text ? SLIPMUX_TEXT_LOST : SLIPMUX_NOTHING;
}

static enum slipmux_event receive_in_frame(struct slipmux *s, uint8_t byte) {
    if (s->escape) {
        s->escape = false;
        if (byte == END)
            return drop(s, &s->counts.aborted, START);
        if (byte != ESC_END && byte != ESC_ESC)
            return drop(s, &s->counts.escape, SKIP);
        byte = byte == ESC_END ? END : ESC;
    } else if (byte == ESC) {
        s->escape = true;
        return SLIPMUX_NOTHING;
    } else if (byte == END) {
        const bool text = s->where == TEXT;
        s->where = START;
        return text ? SLIPMUX_TEXT_END : finish(s);
    }
    if (s->where == TEXT) {
        s->frame[0] = byte;
        return SLIPMUX_TEXT;
    }
    if (s->size == sizeof s->frame)
        return drop(s, &s->counts.oversized, SKIP);
    s->frame[s->size++] = byte;
    return SLIPMUX_NOTHING;
}

enum slipmux_event slipmux_receive(struct slipmux *s, uint8_t byte) {
    if (s->where == COAP || s->where == TEXT)
        return receive_in_frame(s, byte);
    if (byte == END) {
        s->where = START;
        return SLIPMUX_NOTHING;
    }
    if (s->where == SKIP)
        return SLIPMUX_NOTHING;
    if (s->where == START && (byte == TYPE_COAP || byte == TYPE_TEXT)) {
        s->where = byte == TYPE_COAP ? COAP : TEXT;
        s->escape = false;
        s->frame[0] = byte;
        s->size = 1;
        return byte == TYPE_TEXT ? SLIPMUX_TEXT_START : SLIPMUX_NOTHING;
    }
    s->where = PLAIN;
    s->frame[0] = byte;
    return SLIPMUX_TEXT;
}

/* The line is written in pieces, so that a frame needs no buffer of twice its size. */
struct line {
    uint8_t piece[64];
    size_t size;
    slipmux_sink *sink;
};

static void put_raw(struct line *line, uint8_t byte) {
    line->piece[line->size++] = byte;
    if (line->size == sizeof line->piece) {
        line->sink(line->piece, line->size);
        line->size = 0;
    }
}

static void put(struct line *line, const uint8_t *data, size_t size) {
    for (; size; size--, data++) {
        if (*data == END || *data == ESC) {
            put_raw(line, ESC);
            put_raw(line, *data == END ? ESC_END : ESC_ESC);
        } else {
            put_raw(line, *data);
        }
    }
}

static void end(struct line *line) {
    put_raw(line, END);
    if (line->size)
        line->sink(line->piece, line->size);
}

void slipmux_send_message(const uint8_t *message, size_t size, slipmux_sink *sink) {
    static const uint8_t type = TYPE_COAP;
    struct line line = {.sink = sink};
    const uint16_t crc = (uint16_t)~fcs(fcs(FCS_START, &type, 1), message, size);
    put_raw(&line, END); /* ends what noise may have begun */
    put(&line, &type, 1);
    put(&line, message, size);
    put(&line, (const uint8_t[]){(uint8_t)crc, (uint8_t)(crc >> 8)}, FCS_SIZE);
    end(&line);
}

void slipmux_send_text(const char *text, size_t size, slipmux_sink *sink) {
    struct line line = {.sink = sink};
    put_raw(&line, END);
    put_raw(&line, TYPE_TEXT);
    put(&line, (const uint8_t *)text, size);
    end(&line);
}
