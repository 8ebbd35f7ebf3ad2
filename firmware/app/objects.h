/* LwM2M objects as tables, and how to find what a path names (OMA-TS-LightweightM2M_Core-V1_1 section 7). */
#ifndef OBJECTS_H
#define OBJECTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PATH_DEPTH = 4 };

/* object, instance, resource, resource instance; `depth` says how many are given */
struct path {
    uint8_t depth;
    uint16_t ids[PATH_DEPTH];
};

enum value_type { TYPE_NONE, TYPE_STRING, TYPE_INTEGER, TYPE_BOOLEAN, TYPE_TIME, TYPE_OPAQUE, TYPE_LINK };

struct value {
    int32_t number;            /* integers, booleans, times */
    const char *text;          /* strings; not zero terminated */
    size_t size;
    uint16_t object, instance; /* object links */
    uint16_t id;               /* resource instance, for resources with several */
    char buffer[32];           /* room for texts that are made on the spot */
};

enum { READABLE = 1, WRITABLE = 2, EXECUTABLE = 4, MULTIPLE = 8 };

struct resource {
    uint16_t id;
    uint8_t type, flags;
};

/* Handlers answer with CoAP codes. Instances are counted from 0, whatever their ids are. */
struct object {
    uint16_t id;
    const char *version; /* NULL: 1.0, which needs no mention */
    const struct resource *resources;
    unsigned resource_count, instances;
    uint16_t (*instance_id)(unsigned instance);
    /* The value of this number of a resource (0 is the first); false if there are not so many. */
    bool (*read)(unsigned instance, uint16_t resource, unsigned number, struct value *value);
    uint8_t (*write)(unsigned instance, uint16_t resource, const struct value *value);
    uint8_t (*execute)(unsigned instance, uint16_t resource, const char *arguments, size_t size);
};

/* All objects that are registered, in ascending order; the end is NULL. */
extern const struct object *const objects[];

extern const struct object object_server, object_device, object_connectivity, object_firmware, object_components;

enum { OBJECT_SECURITY = 0, OBJECT_FIRMWARE = 5, OBJECT_COMPONENTS = 33629, RESOURCE_PACKAGE = 0 };

/* What a path leads to. Below the path's depth nothing is set. */
struct place {
    const struct object *object;
    unsigned instance;
    const struct resource *resource;
};

/* Follow a path; returns 0, or the code to refuse it with. */
uint8_t place_find(struct place *place, const struct path *path);

uint16_t place_instance_id(const struct place *place);

/* Sees one value after the other; the path has all ids that apply. */
typedef void value_visitor(void *context, const struct path *path, const struct resource *resource,
                           const struct value *value);

/* Show all readable values at and below a path; returns how many there are. The visitor may be NULL. */
unsigned objects_visit(const struct path *path, value_visitor *visitor, void *context);

/* Help for reading: fill in a value. Both return true. */
bool value_is_number(struct value *value, int32_t number);
bool value_is_text(struct value *value, const char *text);

#endif
