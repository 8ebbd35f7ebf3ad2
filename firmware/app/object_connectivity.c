/*
 * Object 4, Connectivity Monitoring (OMA registry, 4.xml): the mandatory resources. There is one wire
 * and no network behind it, so nothing here ever changes.
 */
#include "objects.h"

enum { BEARER = 0, BEARERS = 1, SIGNAL = 2, ADDRESSES = 4 };
enum { ETHERNET = 41 }; /* of the wired bearers, the one that is no telephone line */

static const struct resource resources[] = {
    {BEARER, TYPE_INTEGER, READABLE},
    {BEARERS, TYPE_INTEGER, READABLE | MULTIPLE},
    {SIGNAL, TYPE_INTEGER, READABLE},
    {ADDRESSES, TYPE_STRING, READABLE | MULTIPLE},
};

static uint16_t instance_id(unsigned instance) { return (uint16_t)instance; }

static bool read(unsigned instance, uint16_t resource, unsigned number, struct value *value) {
    (void)instance;
    if (number || resource == ADDRESSES)
        return false;
    return value_is_number(value, resource == SIGNAL ? 0 : ETHERNET);
}

const struct object object_connectivity = {
    .id = 4,
    .resources = resources,
    .resource_count = sizeof resources / sizeof *resources,
    .instances = 1,
    .instance_id = instance_id,
    .read = read,
};
