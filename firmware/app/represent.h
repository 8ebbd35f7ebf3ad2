/* Values in the content formats of LwM2M. */
#ifndef REPRESENT_H
#define REPRESENT_H

#include "coap_message.h"
#include "config.h"
#include "objects.h"

/* All of object 33629 with its instances has to fit. */
enum { REPRESENTATION_MAX = 768 + 768 * COMPONENTS };

struct representation {
    int32_t format;
    size_t size;
    uint8_t data[REPRESENTATION_MAX];
};

/*
 * Read what a path leads to. `accept` is the format that was asked for, FORMAT_NONE for ours:
 * text for one value, SenML CBOR for several. Returns 2.05, or the code to refuse with.
 */
uint8_t represent(struct representation *representation, const struct path *path, int32_t accept);

/* The links that a registration announces. */
void represent_registration(struct representation *representation);

/* One value as text. */
struct text;
void represent_value(struct text *text, const struct resource *resource, const struct value *value);

/* The formats for many values at once. False if there is not enough room. */
bool senml_encode(struct representation *representation, const struct path *path);
bool tlv_encode(struct representation *representation, const struct path *path);

#endif
