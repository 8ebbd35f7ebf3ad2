#include "cbor.h"

#include "bytes.h"

enum { DEPTH_MAX = 8, SHORT = 24, LONGEST = 27 };

struct reader {
    const uint8_t *at, *end;
};

static bool read_item(struct reader *reader, struct cbor_item *item) {
    if (reader->at == reader->end)
        return false;
    const uint8_t head = *reader->at++;
    const unsigned info = head & 31;
    item->kind = head >> 5;
    item->number = info;
    if (info > LONGEST)
        return false; /* reserved, or of indefinite length */
    if (info >= SHORT) {
        const size_t size = (size_t)1 << (info - SHORT);
        if ((size_t)(reader->end - reader->at) < size)
            return false;
        item->number = 0;
        for (size_t i = 0; i < size; i++)
            item->number = item->number << 8 | *reader->at++;
    }
    item->data = reader->at;
    if (item->kind == CBOR_BYTES || item->kind == CBOR_TEXT) {
        if (item->number > (size_t)(reader->end - reader->at))
            return false;
        reader->at += item->number;
    }
    return item->kind != CBOR_TAG && (item->kind != CBOR_SIMPLE || info != SHORT);
}

/* Go past what an array or a map holds. */
static bool skip_content(struct reader *reader, const struct cbor_item *item, unsigned depth) {
    struct cbor_item inner;
    if (item->kind != CBOR_ARRAY && item->kind != CBOR_MAP)
        return true;
    if (depth == DEPTH_MAX || item->number > (size_t)(reader->end - reader->at))
        return false;
    for (uint64_t left = item->number << (item->kind == CBOR_MAP); left; left--)
        if (!read_item(reader, &inner) || !skip_content(reader, &inner, depth + 1))
            return false;
    return true;
}

static bool same_text(const struct cbor_item *item, const uint8_t *text, size_t size) {
    return item->number == size && equal(item->data, text, size);
}

bool cbor_read_map(struct cbor_map *map, const uint8_t *data, size_t size) {
    struct reader reader = {data, data + size};
    struct cbor_item head;
    if (!read_item(&reader, &head) || head.kind != CBOR_MAP || head.number > CBOR_PAIRS_MAX)
        return false;
    for (map->count = 0; map->count < head.number; map->count++) {
        struct cbor_item *key = &map->keys[map->count], *value = &map->values[map->count];
        if (!read_item(&reader, key) || key->kind != CBOR_TEXT)
            return false;
        for (unsigned i = 0; i < map->count; i++)
            if (same_text(&map->keys[i], key->data, (size_t)key->number))
                return false;
        if (!read_item(&reader, value) || !skip_content(&reader, value, 0))
            return false;
    }
    return reader.at == reader.end;
}

const struct cbor_item *cbor_find(const struct cbor_map *map, const char *key) {
    for (unsigned i = 0; i < map->count; i++)
        if (same_text(&map->keys[i], (const uint8_t *)key, text_length(key)))
            return &map->values[i];
    return NULL;
}

static void put(struct cbor_writer *writer, const void *data, size_t size) {
    if (size > writer->capacity - writer->size) {
        writer->overflow = true;
        return;
    }
    memcpy(writer->data + writer->size, data, size);
    writer->size += size;
}

static void put_head(struct cbor_writer *writer, enum cbor_kind kind, uint32_t number) {
    const unsigned length = number < SHORT ? 0 : number <= UINT8_MAX ? 1 : number <= UINT16_MAX ? 2 : 4;
    const unsigned info = length == 0 ? number : length == 4 ? SHORT + 2 : SHORT + length - 1;
    uint8_t head[5] = {(uint8_t)((unsigned)kind << 5 | info)};
    for (unsigned i = 0; i < length; i++)
        head[1 + i] = (uint8_t)(number >> 8 * (length - 1 - i));
    put(writer, head, 1 + length);
}

void cbor_put_number(struct cbor_writer *writer, uint32_t number) { put_head(writer, CBOR_UNSIGNED, number); }

void cbor_put_bool(struct cbor_writer *writer, bool value) {
    put_head(writer, CBOR_SIMPLE, value ? CBOR_TRUE : CBOR_FALSE);
}

void cbor_put_bytes(struct cbor_writer *writer, const void *data, size_t size) {
    put_head(writer, CBOR_BYTES, (uint32_t)size);
    put(writer, data, size);
}

void cbor_put_text(struct cbor_writer *writer, const char *text, size_t size) {
    put_head(writer, CBOR_TEXT, (uint32_t)size);
    put(writer, text, size);
}

void cbor_put_key(struct cbor_writer *writer, const char *key) { cbor_put_text(writer, key, text_length(key)); }

size_t cbor_open(struct cbor_writer *writer) {
    const size_t at = writer->size;
    put(writer, &(uint8_t){0}, 1);
    return at;
}

void cbor_close(struct cbor_writer *writer, size_t opened, enum cbor_kind kind, unsigned count) {
    if (count >= SHORT)
        writer->overflow = true;
    else if (!writer->overflow)
        writer->data[opened] = (uint8_t)((unsigned)kind << 5 | count);
}
