#include "objects.h"

#include "bytes.h"
#include "coap_message.h"

const struct object *const objects[] = {&object_server,   &object_device,     &object_connectivity,
                                         &object_firmware, &object_components, NULL};

static const struct object *find_object(uint16_t id) {
    for (const struct object *const *object = objects; *object; object++)
        if ((*object)->id == id)
            return *object;
    return NULL;
}

static const struct resource *find_resource(const struct object *object, uint16_t id) {
    for (unsigned i = 0; i < object->resource_count; i++)
        if (object->resources[i].id == id)
            return &object->resources[i];
    return NULL;
}

static bool find_instance(const struct object *object, uint16_t id, unsigned *instance) {
    for (*instance = 0; *instance < object->instances; ++*instance)
        if (object->instance_id(*instance) == id)
            return true;
    return false;
}

uint16_t place_instance_id(const struct place *place) { return place->object->instance_id(place->instance); }

uint8_t place_find(struct place *place, const struct path *path) {
    *place = (struct place){0};
    if (path->depth == 0)
        return COAP_NOT_FOUND;
    if (path->ids[0] == OBJECT_SECURITY)
        return COAP_UNAUTHORIZED; /* it exists, for bootstrap servers only */
    place->object = find_object(path->ids[0]);
    if (!place->object)
        return COAP_NOT_FOUND;
    if (path->depth >= 2 && !find_instance(place->object, path->ids[1], &place->instance))
        return COAP_NOT_FOUND;
    if (path->depth >= 3 && !(place->resource = find_resource(place->object, path->ids[2])))
        return COAP_NOT_FOUND;
    if (path->depth >= 4 && !(place->resource->flags & MULTIPLE))
        return COAP_NOT_FOUND;
    return 0;
}

static unsigned visit_resource(const struct place *place, const struct path *wanted, value_visitor *visitor,
                               void *context) {
    unsigned count = 0;
    struct path path = {3, {place->object->id, place_instance_id(place), place->resource->id, 0}};
    struct value value = {0};
    for (unsigned n = 0; place->object->read(place->instance, place->resource->id, n, &value); n++) {
        if (place->resource->flags & MULTIPLE) {
            path.depth = 4;
            path.ids[3] = value.id;
            if (wanted->depth == 4 && wanted->ids[3] != value.id)
                continue;
        }
        if (visitor)
            visitor(context, &path, place->resource, &value);
        count++;
        if (!(place->resource->flags & MULTIPLE))
            break;
        value = (struct value){0};
    }
    return count;
}

unsigned objects_visit(const struct path *path, value_visitor *visitor, void *context) {
    struct place place;
    unsigned count = 0;
    if (place_find(&place, path))
        return 0;
    const unsigned first = place.instance, last = path->depth >= 2 ? first : place.object->instances - 1;
    for (place.instance = first; place.instance <= last; place.instance++) {
        if (path->depth >= 3) {
            count += visit_resource(&place, path, visitor, context);
            continue;
        }
        for (unsigned i = 0; i < place.object->resource_count; i++) {
            place.resource = &place.object->resources[i];
            if (place.resource->flags & READABLE)
                count += visit_resource(&place, path, visitor, context);
        }
    }
    return count;
}

bool value_is_number(struct value *value, int32_t number) {
    value->number = number;
    return true;
}

bool value_is_text(struct value *value, const char *text) {
    value->text = text;
    value->size = text_length(text);
    return true;
}
