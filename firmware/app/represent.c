#include "represent.h"

#include "bytes.h"

void represent_value(struct text *text, const struct resource *resource, const struct value *value) {
    switch (resource->type) {
    case TYPE_STRING:
    case TYPE_OPAQUE:
        text_add_bytes(text, value->text, value->size);
        break;
    case TYPE_LINK: /* section 7.4.1: object and instance with a colon between them */
        text_add_number(text, value->object);
        text_add(text, ":");
        text_add_number(text, value->instance);
        break;
    default:
        text_add_signed(text, value->number);
    }
}

static void add_text(void *context, const struct path *path, const struct resource *resource, const struct value *value) {
    (void)path;
    represent_value(context, resource, value);
}

static void add_path(struct text *text, const uint16_t *ids, unsigned depth) {
    for (unsigned i = 0; i < depth; i++) {
        text_add(text, "/");
        text_add_number(text, ids[i]);
    }
}

static void add_link(struct text *text, const uint16_t *ids, unsigned depth) {
    text_add(text, text->size ? ",<" : "<");
    add_path(text, ids, depth);
    text_add(text, ">");
}

static void add_object_link(struct text *text, const struct object *object) {
    add_link(text, &object->id, 1);
    if (object->version) {
        text_add(text, ";ver=");
        text_add(text, object->version);
    }
}

/* Discover (section 6.3.2): names only, for no attributes can be attached here. */
static bool discover(struct representation *representation, const struct place *found, unsigned depth) {
    struct text text = {.data = (char *)representation->data, .capacity = sizeof representation->data};
    const struct object *object = found->object;
    const unsigned first = depth >= 2 ? found->instance : 0, last = depth >= 2 ? first : object->instances - 1;
    if (depth == 1)
        add_object_link(&text, object);
    for (unsigned instance = first; instance <= last; instance++) {
        uint16_t ids[3] = {object->id, object->instance_id(instance), 0};
        if (depth <= 2)
            add_link(&text, ids, 2);
        for (unsigned i = 0; i < object->resource_count; i++) {
            ids[2] = object->resources[i].id;
            struct value value = {0};
            const bool there = !(object->resources[i].flags & READABLE) || object->read(instance, ids[2], 0, &value);
            if (there && (depth <= 2 || found->resource->id == ids[2]))
                add_link(&text, ids, 3);
        }
    }
    representation->size = text.size;
    return !text.overflow;
}

void represent_registration(struct representation *representation) {
    struct text text = {.data = (char *)representation->data, .capacity = sizeof representation->data};
    text_add(&text, "</>;rt=\"oma.lwm2m\";ct=\"112 11542\"");
    for (const struct object *const *object = objects; *object; object++) {
        if ((*object)->version)
            add_object_link(&text, *object);
        for (unsigned instance = 0; instance < (*object)->instances; instance++)
            add_link(&text, (const uint16_t[]){(*object)->id, (*object)->instance_id(instance)}, 2);
    }
    representation->format = FORMAT_LINK;
    representation->size = text.size;
}

static bool encode(struct representation *representation, const struct path *path, int32_t format) {
    if (format == FORMAT_SENML_CBOR)
        return senml_encode(representation, path);
    if (format == FORMAT_TLV)
        return tlv_encode(representation, path);
    struct text text = {.data = (char *)representation->data, .capacity = sizeof representation->data};
    objects_visit(path, add_text, &text);
    representation->size = text.size;
    return !text.overflow;
}

uint8_t represent(struct representation *representation, const struct path *path, int32_t accept) {
    struct place place;
    const uint8_t refusal = place_find(&place, path);
    if (refusal)
        return refusal;
    const bool single = path->depth == 4 || (path->depth == 3 && !(place.resource->flags & MULTIPLE));
    representation->format = accept == FORMAT_NONE ? single ? FORMAT_TEXT : FORMAT_SENML_CBOR : accept;
    if (accept == FORMAT_LINK && path->depth == 4)
        return COAP_NOT_ALLOWED;
    if (accept == FORMAT_LINK)
        return discover(representation, &place, path->depth) ? COAP_CONTENT : COAP_SERVER_ERROR;
    if (path->depth >= 3 && !(place.resource->flags & READABLE))
        return COAP_NOT_ALLOWED;
    if (single && !objects_visit(path, NULL, NULL))
        return COAP_NOT_FOUND; /* optional, and not there at the moment */
    switch (representation->format) {
    case FORMAT_TEXT:
        if (!single)
            return COAP_NOT_ACCEPTABLE;
        break;
    case FORMAT_OPAQUE:
        if (!single || place.resource->type != TYPE_OPAQUE)
            return COAP_NOT_ACCEPTABLE;
        break;
    case FORMAT_SENML_CBOR:
    case FORMAT_TLV:
        break;
    default:
        return COAP_NOT_ACCEPTABLE;
    }
    return encode(representation, path, representation->format) ? COAP_CONTENT : COAP_SERVER_ERROR;
}
