/* CoAP messages as bytes: RFC 7252 section 3, block options of RFC 7959 section 2.2. */
#ifndef COAP_MESSAGE_H
#define COAP_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum coap_type { COAP_CON, COAP_NON, COAP_ACK, COAP_RST };

#define COAP_CODE(class, detail) ((class) << 5 | (detail))
#define COAP_CLASS(code) ((code) >> 5)
enum {
    COAP_EMPTY = 0,
    COAP_GET = 1,
    COAP_POST = 2,
    COAP_PUT = 3,
    COAP_DELETE = 4,
    COAP_CREATED = COAP_CODE(2, 1),
    COAP_CHANGED = COAP_CODE(2, 4),
    COAP_CONTENT = COAP_CODE(2, 5),
    COAP_CONTINUE = COAP_CODE(2, 31),
    COAP_BAD_REQUEST = COAP_CODE(4, 0),
    COAP_UNAUTHORIZED = COAP_CODE(4, 1),
    COAP_BAD_OPTION = COAP_CODE(4, 2),
    COAP_NOT_FOUND = COAP_CODE(4, 4),
    COAP_NOT_ALLOWED = COAP_CODE(4, 5),
    COAP_NOT_ACCEPTABLE = COAP_CODE(4, 6),
    COAP_INCOMPLETE = COAP_CODE(4, 8),
    COAP_TOO_LARGE = COAP_CODE(4, 13),
    COAP_UNSUPPORTED_FORMAT = COAP_CODE(4, 15),
    COAP_SERVER_ERROR = COAP_CODE(5, 0),
    COAP_PROXYING_NOT_SUPPORTED = COAP_CODE(5, 5),
};

enum coap_option_number {
    OPTION_URI_HOST = 3,
    OPTION_ETAG = 4,
    OPTION_OBSERVE = 6,
    OPTION_URI_PORT = 7,
    OPTION_LOCATION_PATH = 8,
    OPTION_URI_PATH = 11,
    OPTION_CONTENT_FORMAT = 12,
    OPTION_URI_QUERY = 15,
    OPTION_ACCEPT = 17,
    OPTION_BLOCK2 = 23,
    OPTION_BLOCK1 = 27,
    OPTION_PROXY_URI = 35,
    OPTION_PROXY_SCHEME = 39,
};

enum { FORMAT_TEXT = 0, FORMAT_LINK = 40, FORMAT_OPAQUE = 42, FORMAT_SENML_CBOR = 112, FORMAT_TLV = 11542, FORMAT_NONE = -1 };

enum { TOKEN_MAX = 8, ETAG_MAX = 8, COAP_HEADER = 4 };

struct coap_token {
    uint8_t size, bytes[TOKEN_MAX];
};

/* A message in the buffer it was received in. */
struct coap_message {
    enum coap_type type;
    uint8_t code;
    uint16_t id;
    struct coap_token token;
    const uint8_t *options, *options_end, *payload;
    size_t payload_size;
};

/*
 * Check all of a message and find its parts. False for a format error (section 3): type, code
 * and id are set nevertheless if there are four bytes of version 1, else `id_known` is false.
 */
bool coap_parse(struct coap_message *message, bool *id_known, const uint8_t *data, size_t size);

struct coap_option {
    uint16_t number, size;
    const uint8_t *value;
};

/* The next option: start with {0}, false at the end. */
bool coap_next_option(const struct coap_message *message, struct coap_option *option);

/* Whether a message without it cannot be understood (section 5.4.1). */
static inline bool coap_option_critical(uint16_t number) { return number & 1; }

/* An option's value as a number (section 3.2); false if it is longer than `most` bytes. */
bool coap_option_uint(const struct coap_option *option, unsigned most, uint32_t *value);

/* Look for the first option of a number; false if there is none. */
bool coap_find_option(const struct coap_message *message, uint16_t number, struct coap_option *option);

/* Block1 or Block2. `size_exponent` 0 to 6 stands for 16 to 1024 bytes. */
struct block {
    bool present, more;
    uint8_t size_exponent;
    uint32_t number;
};

static inline uint32_t block_size(struct block block) { return 16u << block.size_exponent; }
static inline uint32_t block_offset(struct block block) { return block.number << (block.size_exponent + 4); }
static inline uint32_t block_value(struct block block) {
    return block.number << 4 | (uint32_t)block.more << 3 | block.size_exponent;
}
/* Returns 0, or the code to refuse it with: 4.00 for the reserved size 7, 4.02 for an option of the wrong length. */
uint8_t block_from_option(struct block *block, const struct coap_option *option);

bool coap_same_token(const struct coap_token *left, const struct coap_token *right);

/* A message in the making; options must be added in the order of their numbers. */
struct coap_writer {
    uint8_t *data;
    size_t size, capacity;
    uint16_t last_option;
    bool overflow;
};

void coap_begin(struct coap_writer *writer, uint8_t *data, size_t capacity, enum coap_type type, uint8_t code, uint16_t id,
                const struct coap_token *token);
void coap_add_option(struct coap_writer *writer, uint16_t number, const void *value, size_t size);
void coap_add_uint(struct coap_writer *writer, uint16_t number, uint32_t value);
void coap_add_payload(struct coap_writer *writer, const void *payload, size_t size);

#endif
