#include "coap_message.h"

#include "bytes.h"

enum { PAYLOAD_MARKER = 0xFF, NIBBLE_BYTE = 13, NIBBLE_WORD = 14, NIBBLE_RESERVED = 15 };
enum { EXTENDED_BYTE = 13, EXTENDED_WORD = 269 };

/* Delta or length of an option, whose four bits may announce one or two more bytes. */
static bool read_extended(uint32_t *value, const uint8_t **at, const uint8_t *end) {
    if (*value == NIBBLE_RESERVED)
        return false;
    const unsigned more = *value == NIBBLE_WORD ? 2 : *value == NIBBLE_BYTE ? 1 : 0;
    if ((size_t)(end - *at) < more)
        return false;
    if (more == 1)
        *value = EXTENDED_BYTE + (*at)[0];
    else if (more == 2)
        *value = EXTENDED_WORD + ((uint32_t)(*at)[0] << 8 | (*at)[1]);
    *at += more;
    return true;
}

/* One option behind `number`, from `at`; moves on, false if it is malformed. */
static bool read_option(struct coap_option *option, const uint8_t **at, const uint8_t *end) {
    uint32_t delta = **at >> 4, size = **at & 15;
    ++*at;
    if (!read_extended(&delta, at, end) || !read_extended(&size, at, end))
        return false;
    if (delta + option->number > UINT16_MAX || size > (size_t)(end - *at))
        return false;
    option->number = (uint16_t)(option->number + delta);
    option->size = (uint16_t)size;
    option->value = *at;
    *at += size;
    return true;
}

static bool parse_options(struct coap_message *message, const uint8_t *at, const uint8_t *end) {
    struct coap_option option = {0};
    message->options = at;
    while (at < end && *at != PAYLOAD_MARKER)
        if (!read_option(&option, &at, end))
            return false;
    message->options_end = at;
    message->payload = end;
    message->payload_size = 0;
    if (at == end)
        return true;
    message->payload = at + 1;
    message->payload_size = (size_t)(end - at) - 1;
    return message->payload_size != 0; /* a marker with nothing behind it is a format error */
}

bool coap_parse(struct coap_message *message, bool *id_known, const uint8_t *data, size_t size) {
    *id_known = size >= COAP_HEADER && data[0] >> 6 == 1;
    if (!*id_known)
        return false;
    message->type = (enum coap_type)(data[0] >> 4 & 3);
    message->code = data[1];
    message->id = (uint16_t)(data[2] << 8 | data[3]);
    message->token.size = data[0] & 15;
    if (message->token.size > TOKEN_MAX || message->token.size > size - COAP_HEADER)
        return false;
    memcpy(message->token.bytes, data + COAP_HEADER, message->token.size);
    if (message->code == COAP_EMPTY)
        return size == COAP_HEADER;
    return parse_options(message, data + COAP_HEADER + message->token.size, data + size);
}

bool coap_next_option(const struct coap_message *message, struct coap_option *option) {
    const uint8_t *at = option->value ? option->value + option->size : message->options;
    return at < message->options_end && read_option(option, &at, message->options_end);
}

bool coap_option_uint(const struct coap_option *option, unsigned most, uint32_t *value) {
    if (option->size > most)
        return false;
    *value = 0;
    for (unsigned i = 0; i < option->size; i++)
        *value = *value << 8 | option->value[i];
    return true;
}

bool coap_find_option(const struct coap_message *message, uint16_t number, struct coap_option *option) {
    *option = (struct coap_option){0};
    while (coap_next_option(message, option))
        if (option->number == number)
            return true;
    return false;
}

uint8_t block_from_option(struct block *block, const struct coap_option *option) {
    uint32_t value;
    if (!coap_option_uint(option, 3, &value))
        return COAP_BAD_OPTION;
    if ((value & 7) == 7)
        return COAP_BAD_REQUEST; /* RFC 7959 section 2.2 */
    *block = (struct block){true, value >> 3 & 1, value & 7, value >> 4};
    return 0;
}

bool coap_same_token(const struct coap_token *left, const struct coap_token *right) {
    return left->size == right->size && equal(left->bytes, right->bytes, left->size);
}

static void put(struct coap_writer *writer, const void *data, size_t size) {
    if (size > writer->capacity - writer->size) {
        writer->overflow = true;
        return;
    }
    memcpy(writer->data + writer->size, data, size);
    writer->size += size;
}

void coap_begin(struct coap_writer *writer, uint8_t *data, size_t capacity, enum coap_type type, uint8_t code, uint16_t id,
                const struct coap_token *token) {
    *writer = (struct coap_writer){.data = data, .capacity = capacity};
    const uint8_t token_size = token ? token->size : 0;
    const uint8_t head[COAP_HEADER] = {(uint8_t)(1 << 6 | type << 4 | token_size), code, (uint8_t)(id >> 8), (uint8_t)id};
    put(writer, head, sizeof head);
    if (token_size)
        put(writer, token->bytes, token_size);
}

/* Splits a number into its four bits and the bytes that follow the option's first one. */
static unsigned extended(uint32_t value, uint8_t *nibble, uint8_t more[2]) {
    if (value < EXTENDED_BYTE) {
        *nibble = (uint8_t)value;
        return 0;
    }
    if (value < EXTENDED_WORD) {
        *nibble = NIBBLE_BYTE;
        more[0] = (uint8_t)(value - EXTENDED_BYTE);
        return 1;
    }
    *nibble = NIBBLE_WORD;
    more[0] = (uint8_t)((value - EXTENDED_WORD) >> 8);
    more[1] = (uint8_t)(value - EXTENDED_WORD);
    return 2;
}

void coap_add_option(struct coap_writer *writer, uint16_t number, const void *value, size_t size) {
    uint8_t delta, length, head[5];
    unsigned used = 1 + extended((uint32_t)number - writer->last_option, &delta, head + 1);
    used += extended((uint32_t)size, &length, head + used);
    head[0] = (uint8_t)(delta << 4 | length);
    put(writer, head, used);
    put(writer, value, size);
    writer->last_option = number;
}

void coap_add_uint(struct coap_writer *writer, uint16_t number, uint32_t value) {
    uint8_t bytes[4];
    unsigned size = 0;
    for (int shift = 24; shift >= 0; shift -= 8)
        if (size || value >> shift)
            bytes[size++] = (uint8_t)(value >> shift);
    coap_add_option(writer, number, bytes, size);
}

void coap_add_payload(struct coap_writer *writer, const void *payload, size_t size) {
    static const uint8_t marker = PAYLOAD_MARKER;
    if (!size)
        return;
    put(writer, &marker, 1);
    put(writer, payload, size);
}
