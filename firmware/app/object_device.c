/* Object 3, Device (OMA registry, 3.xml, version 1.0 of the object). */
#include "bytes.h"
#include "coap_message.h"
#include "config.h"
#include "health.h"
#include "objects.h"
#include "observe.h"
#include "registration.h"
#include "restart.h"

enum { MANUFACTURER = 0, MODEL = 1, SERIAL = 2, FIRMWARE = 3, REBOOT = 4, ERRORS = 11, RESET_ERRORS = 12, BINDINGS = 16 };

static const struct resource resources[] = {
    {MANUFACTURER, TYPE_STRING, READABLE},
    {MODEL, TYPE_STRING, READABLE},
    {SERIAL, TYPE_STRING, READABLE},
    {FIRMWARE, TYPE_STRING, READABLE},
    {REBOOT, TYPE_NONE, EXECUTABLE},
    {ERRORS, TYPE_INTEGER, READABLE | MULTIPLE},
    {RESET_ERRORS, TYPE_NONE, EXECUTABLE},
    {BINDINGS, TYPE_STRING, READABLE},
};

static uint16_t instance_id(unsigned instance) { return (uint16_t)instance; }

static bool read_version(struct value *value) {
    struct version version = {0};
    struct text text = {.data = value->buffer, .capacity = sizeof value->buffer};
    (void)health_version(0, &version);
    text_add_version(&text, version);
    value->text = value->buffer;
    value->size = text.size;
    return true;
}

static bool read(unsigned instance, uint16_t resource, unsigned number, struct value *value) {
    (void)instance;
    if (resource == ERRORS) {
        value->id = (uint16_t)number;
        return health_error(number, &value->number);
    }
    if (number)
        return false;
    switch (resource) {
    case MANUFACTURER:
        return value_is_text(value, "mcuboot-harness");
    case MODEL:
        return value_is_text(value, BOARD_NAME);
    case SERIAL:
        return value_is_text(value, registration_serial_number());
    case FIRMWARE:
        return read_version(value);
    case BINDINGS:
        return value_is_text(value, "U");
    default:
        return false;
    }
}

static uint8_t execute(unsigned instance, uint16_t resource, const char *arguments, size_t size) {
    (void)instance, (void)arguments, (void)size;
    if (resource == REBOOT) {
        restart_soon();
    } else {
        health_clear_errors();
        observe_changed();
    }
    return COAP_CHANGED;
}

const struct object object_device = {
    .id = 3,
    .resources = resources,
    .resource_count = sizeof resources / sizeof *resources,
    .instances = 1,
    .instance_id = instance_id,
    .read = read,
    .execute = execute,
};
