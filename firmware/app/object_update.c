/*
 * Object 33629, Advanced Firmware Update, version 1.0 (definition file 33629.xml), and object 5,
 * Firmware Update, version 1.1 (OMA registry, 5-1_1.xml): the same component 0 for servers that know
 * of one image only.
 */
#include "coap_message.h"
#include "health.h"
#include "install.h"
#include "objects.h"
#include "slots.h"
#include "update.h"

enum {
    PACKAGE = RESOURCE_PACKAGE,
    URI = 1,
    UPDATE = 2,
    STATE = 3,
    RESULT = 5,
    PACKAGE_NAME = 6,
    PACKAGE_VERSION = 7,
    PROTOCOLS = 8,
    DELIVERY = 9,
    CANCEL = 10,
    SEVERITY = 11,
    CHANGE_TIME = 12,
    DEFER_PERIOD = 13,
    NAME = 14,
    VERSION = 15,
    LINKED = 16,
    CONFLICTING = 17,
};

enum { PROTOCOL_COAP = 0, DELIVERY_BOTH = 2, MAIN = 0 };

static const struct resource resources[] = {
    {PACKAGE, TYPE_OPAQUE, WRITABLE},
    {URI, TYPE_STRING, READABLE | WRITABLE},
    {UPDATE, TYPE_NONE, EXECUTABLE},
    {STATE, TYPE_INTEGER, READABLE},
    {RESULT, TYPE_INTEGER, READABLE},
    {PACKAGE_NAME, TYPE_STRING, READABLE},
    {PACKAGE_VERSION, TYPE_STRING, READABLE},
    {PROTOCOLS, TYPE_INTEGER, READABLE | MULTIPLE},
    {DELIVERY, TYPE_INTEGER, READABLE},
    {CANCEL, TYPE_NONE, EXECUTABLE},
    {SEVERITY, TYPE_INTEGER, READABLE | WRITABLE},
    {CHANGE_TIME, TYPE_TIME, READABLE},
    {DEFER_PERIOD, TYPE_INTEGER, READABLE | WRITABLE},
    {NAME, TYPE_STRING, READABLE},
    {VERSION, TYPE_STRING, READABLE},
    {LINKED, TYPE_LINK, READABLE | MULTIPLE},
    {CONFLICTING, TYPE_LINK, READABLE | MULTIPLE},
};
enum { SINGLE_RESOURCES = 13, ALL_RESOURCES = sizeof resources / sizeof *resources, LINKS = 2 };

static bool is_version(struct value *value, struct version version) {
    struct text text = {.data = value->buffer, .capacity = sizeof value->buffer};
    text_add_version(&text, version);
    value->text = value->buffer;
    value->size = text.size;
    return true;
}

/* The number-th component of a set, as a link; the resource instance has the id of what it refers to. */
static bool is_link(struct value *value, uint32_t set, unsigned number) {
    for (unsigned i = 0; i < COMPONENTS; i++) {
        if (!(set >> i & 1) || number--)
            continue;
        value->object = OBJECT_COMPONENTS;
        value->instance = value->id = component_instance(i);
        return true;
    }
    return false;
}

static bool read(unsigned component, uint16_t resource, unsigned number, struct value *value) {
    const struct component *it = &components[component];
    const bool packed = it->state == UPDATE_DOWNLOADED || it->state == UPDATE_UPDATING;
    struct version version = {0};
    switch (resource) {
    case LINKED:
        return is_link(value, install_linked(component), number);
    case CONFLICTING:
        return is_link(value, install_conflicting(component), number);
    default:
        if (number)
            return false;
    }
    switch (resource) {
    case URI:
        return value_is_text(value, it->uri);
    case STATE:
        return value_is_number(value, it->state);
    case RESULT:
        return value_is_number(value, it->result);
    case PACKAGE_NAME:
        return packed && value_is_text(value, component_name(component));
    case PACKAGE_VERSION:
        return packed && is_version(value, it->version);
    case PROTOCOLS:
        return value_is_number(value, PROTOCOL_COAP);
    case DELIVERY:
        return value_is_number(value, DELIVERY_BOTH);
    case SEVERITY:
        return value_is_number(value, it->severity);
    case CHANGE_TIME:
        return value_is_number(value, (int32_t)it->changed_at);
    case DEFER_PERIOD:
        return value_is_number(value, (int32_t)it->defer_period);
    case NAME:
        return value_is_text(value, component_name(component));
    case VERSION:
        return health_version(component, &version) ? is_version(value, version) : value_is_text(value, "none");
    default:
        return false;
    }
}

static uint8_t write(unsigned component, uint16_t resource, const struct value *value, bool single) {
    switch (resource) {
    case URI:
        return update_set_uri(component, value->text, value->size, single);
    case SEVERITY:
        return update_set_severity(component, value->number);
    default:
        return update_set_defer_period(component, value->number);
    }
}

static uint8_t execute(unsigned component, uint16_t resource, const char *arguments, size_t size, bool single) {
    return resource == UPDATE ? install_execute(component, arguments, size, single) : update_cancel(component);
}

/* --- object 33629 --- */

static uint16_t components_id(unsigned instance) { return component_instance(instance); }

static uint8_t components_write(unsigned instance, uint16_t resource, const struct value *value) {
    return write(instance, resource, value, false);
}

static uint8_t components_execute(unsigned instance, uint16_t resource, const char *arguments, size_t size) {
    return execute(instance, resource, arguments, size, false);
}

const struct object object_components = {
    .id = OBJECT_COMPONENTS,
    .version = "1.0",
    .resources = resources,
    .resource_count = COMPONENTS > 1 ? ALL_RESOURCES : ALL_RESOURCES - LINKS, /* nothing to link to */
    .instances = COMPONENTS,
    .instance_id = components_id,
    .read = read,
    .write = components_write,
    .execute = components_execute,
};

/* --- object 5 --- */

static uint16_t single_id(unsigned instance) { return (uint16_t)instance; }

/* It has no results 12 and 13. */
static bool single_read(unsigned instance, uint16_t resource, unsigned number, struct value *value) {
    (void)instance;
    const bool there = read(MAIN, resource, number, value);
    if (resource == RESULT && value->number > RESULT_DEFERRED)
        value->number = RESULT_UPDATE_FAILED;
    return there;
}

static uint8_t single_write(unsigned instance, uint16_t resource, const struct value *value) {
    (void)instance;
    return write(MAIN, resource, value, true);
}

static uint8_t single_execute(unsigned instance, uint16_t resource, const char *arguments, size_t size) {
    (void)instance;
    return execute(MAIN, resource, arguments, size, true);
}

const struct object object_firmware = {
    .id = OBJECT_FIRMWARE,
    .version = "1.1",
    .resources = resources,
    .resource_count = SINGLE_RESOURCES,
    .instances = 1,
    .instance_id = single_id,
    .read = single_read,
    .write = single_write,
    .execute = single_execute,
};
