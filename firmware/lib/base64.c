#include "base64.h"

enum { GROUP = 4, NO_DIGIT = 64 };

static uint32_t digit(uint8_t letter) {
    if (letter >= 'A' && letter <= 'Z')
        return letter - 'A';
    if (letter >= 'a' && letter <= 'z')
        return letter - 'a' + 26u;
    if (letter >= '0' && letter <= '9')
        return letter - '0' + 52u;
    return letter == '+' ? 62 : letter == '/' ? 63 : NO_DIGIT;
}

bool base64_decode(struct base64 *base64, const uint8_t *from, size_t from_size, uint8_t *to, size_t *to_size) {
    uint8_t *end = to;
    for (; from_size; from_size--, from++) {
        if (base64->padding && base64->digits == 0)
            return false; /* nothing may follow the end */
        if (*from == '=') {
            if (base64->digits < 2)
                return false;
            base64->padding++;
            base64->bits <<= 6;
        } else {
            const uint32_t value = digit(*from);
            if (value == NO_DIGIT || base64->padding)
                return false;
            base64->bits = base64->bits << 6 | value;
        }
        if (++base64->digits < GROUP)
            continue;
        for (unsigned i = 0; i + base64->padding < GROUP - 1; i++)
            *end++ = (uint8_t)(base64->bits >> (16 - 8 * i));
        base64->digits = 0;
        base64->bits = 0;
    }
    *to_size = (size_t)(end - to);
    return true;
}

bool base64_complete(const struct base64 *base64) { return base64->digits == 0; }

size_t base64_encode(const uint8_t *from, size_t size, uint8_t *to) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint8_t *end = to;
    for (size_t at = 0; at < size; at += GROUP - 1) {
        const size_t there = size - at < GROUP - 1 ? size - at : GROUP - 1;
        uint32_t bits = 0;
        for (size_t i = 0; i < GROUP - 1; i++)
            bits = bits << 8 | (i < there ? from[at + i] : 0u);
        for (size_t i = 0; i < GROUP; i++)
            *end++ = i <= there ? (uint8_t)digits[bits >> (18 - 6 * i) & 63] : '=';
    }
    return (size_t)(end - to);
}
