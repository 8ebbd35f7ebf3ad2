/* SenML in CBOR: RFC 8428 section 6, RFC 8949; field "vlo" of OMA-TS-LightweightM2M_Core-V1_1 section 7.4.4. */
#include "bytes.h"
#include "represent.h"

enum { CBOR_UINT = 0, CBOR_NEGATIVE = 1, CBOR_BYTES = 2, CBOR_TEXT = 3, CBOR_ARRAY = 4, CBOR_MAP = 5 };
enum { CBOR_FALSE = 0xF4, CBOR_TRUE = 0xF5, CBOR_ONE_BYTE = 24 };
enum { LABEL_BASE_NAME = -2, LABEL_NAME = 0, LABEL_VALUE = 2, LABEL_STRING = 3, LABEL_BOOLEAN = 4, LABEL_DATA = 8 };

struct senml {
    struct text out;
    bool named; /* the base name has been written */
};

static void put_byte(struct text *out, uint8_t byte) { text_add_bytes(out, &byte, 1); }

static void put_head(struct text *out, unsigned major, uint32_t number) {
    const unsigned more = number < CBOR_ONE_BYTE ? 0 : number <= UINT8_MAX ? 1 : number <= UINT16_MAX ? 2 : 4;
    const uint8_t info = more == 0 ? (uint8_t)number : (uint8_t)(CBOR_ONE_BYTE + (more >> 1)); /* 24, 25, 26 */
    put_byte(out, (uint8_t)(major << 5 | info));
    for (unsigned i = more; i--;)
        put_byte(out, (uint8_t)(number >> 8 * i));
}

static void put_int(struct text *out, int32_t number) {
    if (number < 0)
        put_head(out, CBOR_NEGATIVE, ~(uint32_t)number);
    else
        put_head(out, CBOR_UINT, (uint32_t)number);
}

static void put_text(struct text *out, unsigned major, const char *text, size_t size) {
    put_head(out, major, (uint32_t)size);
    text_add_bytes(out, text, size);
}

static void put_value(struct text *out, const struct resource *resource, const struct value *value) {
    char link[12];
    struct text text = {.data = link, .capacity = sizeof link};
    switch (resource->type) {
    case TYPE_STRING:
        put_int(out, LABEL_STRING);
        put_text(out, CBOR_TEXT, value->text, value->size);
        break;
    case TYPE_OPAQUE:
        put_int(out, LABEL_DATA);
        put_text(out, CBOR_BYTES, value->text, value->size);
        break;
    case TYPE_BOOLEAN:
        put_int(out, LABEL_BOOLEAN);
        put_byte(out, value->number ? CBOR_TRUE : CBOR_FALSE);
        break;
    case TYPE_LINK:
        put_text(out, CBOR_TEXT, "vlo", 3);
        represent_value(&text, resource, value);
        put_text(out, CBOR_TEXT, link, text.size);
        break;
    default:
        put_int(out, LABEL_VALUE);
        put_int(out, value->number);
    }
}

static void add_record(void *context, const struct path *path, const struct resource *resource, const struct value *value) {
    struct senml *senml = context;
    char name[24];
    struct text text = {.data = name, .capacity = sizeof name};
    put_head(&senml->out, CBOR_MAP, senml->named ? 2 : 3);
    if (!senml->named) { /* "/object/"; the names go on from there */
        senml->named = true;
        text_add(&text, "/");
        text_add_number(&text, path->ids[0]);
        text_add(&text, "/");
        put_int(&senml->out, LABEL_BASE_NAME);
        put_text(&senml->out, CBOR_TEXT, name, text.size);
        text.size = 0;
    }
    for (unsigned i = 1; i < path->depth; i++) {
        if (i > 1)
            text_add(&text, "/");
        text_add_number(&text, path->ids[i]);
    }
    put_int(&senml->out, LABEL_NAME);
    put_text(&senml->out, CBOR_TEXT, name, text.size);
    put_value(&senml->out, resource, value);
}

bool senml_encode(struct representation *representation, const struct path *path) {
    struct senml senml = {.out = {.data = (char *)representation->data, .capacity = sizeof representation->data}};
    put_head(&senml.out, CBOR_ARRAY, objects_visit(path, NULL, NULL));
    objects_visit(path, add_record, &senml);
    representation->size = senml.out.size;
    return !senml.out.overflow;
}
