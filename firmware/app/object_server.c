/* Object 1, LwM2M Server, version 1.1 (OMA registry, 1-1_1.xml): the one server at the other end of the link. */
#include "bytes.h"
#include "coap_message.h"
#include "objects.h"
#include "registration.h"

enum { SHORT_ID = 0, LIFETIME = 1, STORING = 6, BINDING = 7, UPDATE_TRIGGER = 8 };
enum { THE_SERVER = 1 };

static const struct resource resources[] = {
    {SHORT_ID, TYPE_INTEGER, READABLE},
    {LIFETIME, TYPE_INTEGER, READABLE | WRITABLE},
    {STORING, TYPE_BOOLEAN, READABLE | WRITABLE},
    {BINDING, TYPE_STRING, READABLE | WRITABLE},
    {UPDATE_TRIGGER, TYPE_NONE, EXECUTABLE},
};

static bool storing;

static uint16_t instance_id(unsigned instance) { return (uint16_t)instance; }

static bool read(unsigned instance, uint16_t resource, unsigned number, struct value *value) {
    (void)instance;
    if (number)
        return false;
    switch (resource) {
    case SHORT_ID:
        return value_is_number(value, THE_SERVER);
    case LIFETIME:
        return value_is_number(value, (int32_t)registration_lifetime());
    case STORING:
        return value_is_number(value, storing);
    case BINDING:
        return value_is_text(value, "U");
    default:
        return false;
    }
}

static uint8_t write(unsigned instance, uint16_t resource, const struct value *value) {
    (void)instance;
    switch (resource) {
    case LIFETIME:
        if (value->number < 1)
            return COAP_BAD_REQUEST;
        registration_set_lifetime((uint32_t)value->number);
        return COAP_CHANGED;
    case STORING: /* kept, and without effect: what the server does not acknowledge ends an observation */
        storing = value->number;
        return COAP_CHANGED;
    default: /* there is one binding */
        return value->size == 1 && *value->text == 'U' ? COAP_CHANGED : COAP_BAD_REQUEST;
    }
}

static uint8_t execute(unsigned instance, uint16_t resource, const char *arguments, size_t size) {
    (void)instance, (void)resource, (void)arguments, (void)size;
    registration_trigger();
    return COAP_CHANGED;
}

const struct object object_server = {
    .id = 1,
    .version = "1.1",
    .resources = resources,
    .resource_count = sizeof resources / sizeof *resources,
    .instances = 1,
    .instance_id = instance_id,
    .read = read,
    .write = write,
    .execute = execute,
};
