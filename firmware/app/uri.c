#include "uri.h"

#include "bytes.h"

enum { PREFIX = 7, OPTION_MAX = 255, DEFAULT_PORT = 5683 };

static char lower(char letter) { return letter >= 'A' && letter <= 'Z' ? (char)(letter + 'a' - 'A') : letter; }

bool uri_is_coap(const char *uri, size_t size) {
    for (unsigned i = 0; i < PREFIX; i++)
        if (i >= size || lower(uri[i]) != "coap://"[i])
            return false;
    return true;
}

static bool is_one_of(char letter, const char *set) {
    while (*set)
        if (*set++ == letter)
            return true;
    return letter == 0;
}

static int hex_digit(char letter) {
    letter = lower(letter);
    if (letter >= '0' && letter <= '9')
        return letter - '0';
    return letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
}

/* Characters of RFC 3986 that may stand in a segment or a query unquoted; what ends one is checked before. */
static bool is_plain(char letter) {
    return (letter >= '0' && letter <= '9') || (lower(letter) >= 'a' && lower(letter) <= 'z') ||
           (letter && is_one_of(letter, "-._~!$&'()*+,;=:@/?"));
}

/* One part, up to one of the characters in `ends`, with %XX undone. Moves on; false if it is malformed. */
static bool read_part(const char **at, const char *ends, char *part, size_t *size) {
    *size = 0;
    for (; !is_one_of(**at, ends); ++*at) {
        char letter = **at;
        if (letter == '%') {
            const int high = hex_digit((*at)[1]), low = high < 0 ? -1 : hex_digit((*at)[2]);
            if (low < 0)
                return false;
            letter = (char)(high << 4 | low);
            *at += 2;
        } else if (!is_plain(letter)) {
            return false;
        }
        if (*size == OPTION_MAX)
            return false;
        part[(*size)++] = letter;
    }
    return true;
}

static void add(struct coap_writer *writer, uint16_t number, const char *part, size_t size) {
    if (writer)
        coap_add_option(writer, number, part, size);
}

/* Host and port; an address in brackets stays as it is. */
static bool add_authority(struct coap_writer *writer, const char **at, char *part) {
    size_t size = 0;
    if (**at == '[') {
        while (**at && **at != ']' && size < OPTION_MAX)
            part[size++] = *(*at)++;
        if (**at != ']')
            return false;
        part[size++] = *(*at)++;
        if (!is_one_of(**at, ":/?#"))
            return false;
    } else if (!read_part(at, ":/?#", part, &size)) {
        return false;
    }
    if (size == 0)
        return false;
    for (size_t i = 0; i < size; i++)
        part[i] = lower(part[i]);
    add(writer, OPTION_URI_HOST, part, size);
    if (**at != ':')
        return true;
    const char *digits = ++*at;
    while (!is_one_of(**at, "/?#"))
        ++*at;
    uint32_t port;
    if (*at == digits)
        return true;
    if (!number_from_text(digits, (size_t)(*at - digits), UINT16_MAX, &port))
        return false;
    if (writer && port != DEFAULT_PORT)
        coap_add_uint(writer, OPTION_URI_PORT, port);
    return true;
}

bool uri_add_options(struct coap_writer *writer, const char *uri) {
    static char part[OPTION_MAX + 1];
    size_t size;
    const char *at = uri + PREFIX;
    if (!uri_is_coap(uri, text_length(uri)) || !add_authority(writer, &at, part))
        return false;
    if (at[0] == '/' && (at[1] == 0 || at[1] == '?'))
        at++; /* a lone slash is no segment */
    while (*at == '/') {
        at++;
        if (!read_part(&at, "/?#", part, &size))
            return false;
        add(writer, OPTION_URI_PATH, part, size);
    }
    if (*at != '?')
        return *at == 0; /* a fragment is not allowed */
    do {
        at++;
        if (!read_part(&at, "&#", part, &size))
            return false;
        add(writer, OPTION_URI_QUERY, part, size);
    } while (*at == '&');
    return *at == 0;
}
