/* The TLV format: OMA-TS-LightweightM2M_Core-V1_1 section 7.4.5. */
#include "bytes.h"
#include "represent.h"

enum { KIND_INSTANCE = 0, KIND_RESOURCE_INSTANCE = 1, KIND_MULTIPLE = 2, KIND_RESOURCE = 3 };
enum { KIND_SHIFT = 6, LONG_ID = 1 << 5, LENGTH_SHIFT = 3, SHORT_LENGTH = 8, NOTHING_OPEN = -1 };

/* Entries that hold entries are closed when something comes that is not theirs; their header goes in front then. */
struct container {
    int32_t id;
    size_t start;
};

struct tlv {
    struct text out;
    unsigned depth; /* of the path that is read */
    struct container instance, multiple;
};

static unsigned make_header(uint8_t header[6], unsigned kind, uint16_t id, size_t size) {
    unsigned used = 1;
    header[0] = (uint8_t)(kind << KIND_SHIFT);
    if (id > UINT8_MAX) {
        header[0] |= LONG_ID;
        header[used++] = (uint8_t)(id >> 8);
    }
    header[used++] = (uint8_t)id;
    if (size < SHORT_LENGTH) {
        header[0] |= (uint8_t)size;
    } else {
        const unsigned bytes = size <= UINT8_MAX ? 1 : 2;
        header[0] |= (uint8_t)(bytes << LENGTH_SHIFT);
        if (bytes == 2)
            header[used++] = (uint8_t)(size >> 8);
        header[used++] = (uint8_t)size;
    }
    return used;
}

static void put_entry(struct text *out, unsigned kind, uint16_t id, const void *data, size_t size) {
    uint8_t header[6];
    text_add_bytes(out, header, make_header(header, kind, id, size));
    text_add_bytes(out, data, size);
}

static void close(struct text *out, struct container *container, unsigned kind) {
    if (container->id == NOTHING_OPEN)
        return;
    uint8_t header[6];
    const size_t size = out->size - container->start;
    const unsigned room = make_header(header, kind, (uint16_t)container->id, size);
    container->id = NOTHING_OPEN;
    text_add_bytes(out, header, room); /* grows the text; then its parts change places */
    if (out->overflow)
        return;
    memmove(out->data + container->start + room, out->data + container->start, size);
    memcpy(out->data + container->start, header, room);
}

static void open(struct text *out, struct container *container, uint16_t id) {
    container->id = id;
    container->start = out->size;
}

static void put_number(struct text *out, unsigned kind, uint16_t id, int32_t number) {
    const unsigned size = number == (int8_t)number ? 1 : number == (int16_t)number ? 2 : 4;
    uint8_t bytes[4];
    put32_big(bytes, (uint32_t)number);
    put_entry(out, kind, id, bytes + 4 - size, size);
}

static void add_entry(void *context, const struct path *path, const struct resource *resource, const struct value *value) {
    struct tlv *tlv = context;
    struct text *out = &tlv->out;
    const bool several = resource->flags & MULTIPLE;
    const bool next_instance = tlv->depth == 1 && tlv->instance.id != path->ids[1];
    if (next_instance || tlv->multiple.id != resource->id)
        close(out, &tlv->multiple, KIND_MULTIPLE);
    if (next_instance) {
        close(out, &tlv->instance, KIND_INSTANCE);
        open(out, &tlv->instance, path->ids[1]);
    }
    if (several && tlv->depth < 4 && tlv->multiple.id == NOTHING_OPEN)
        open(out, &tlv->multiple, resource->id);
    const unsigned kind = several ? KIND_RESOURCE_INSTANCE : KIND_RESOURCE;
    const uint16_t id = several ? path->ids[3] : path->ids[2];
    uint8_t link[4];
    switch (resource->type) {
    case TYPE_STRING:
    case TYPE_OPAQUE:
        put_entry(out, kind, id, value->text, value->size);
        break;
    case TYPE_LINK:
        put32_big(link, (uint32_t)value->object << 16 | value->instance);
        put_entry(out, kind, id, link, sizeof link);
        break;
    default:
        put_number(out, kind, id, value->number);
    }
}

bool tlv_encode(struct representation *representation, const struct path *path) {
    struct tlv tlv = {.out = {.data = (char *)representation->data, .capacity = sizeof representation->data},
                      .depth = path->depth,
                      .instance = {NOTHING_OPEN, 0},
                      .multiple = {NOTHING_OPEN, 0}};
    objects_visit(path, add_entry, &tlv);
    close(&tlv.out, &tlv.multiple, KIND_MULTIPLE);
    close(&tlv.out, &tlv.instance, KIND_INSTANCE);
    representation->size = tlv.out.size;
    return !tlv.out.overflow;
}
