#include "bytes.h"

uint32_t crc32(uint32_t crc, const void *data, size_t size) {
    static const uint32_t half_bytes[16] = {
        0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
        0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
    };
    const uint8_t *byte = data;
    crc = ~crc;
    for (; size; size--) {
        crc ^= *byte++;
        crc = crc >> 4 ^ half_bytes[crc & 15];
        crc = crc >> 4 ^ half_bytes[crc & 15];
    }
    return ~crc;
}

size_t text_length(const char *text) {
    size_t size = 0;
    while (text[size])
        size++;
    return size;
}

bool text_is(const char *left, const char *right) {
    const size_t size = text_length(left);
    return size == text_length(right) && equal(left, right, size);
}

void text_add_bytes(struct text *text, const void *data, size_t size) {
    if (size > text->capacity - text->size) {
        size = text->capacity - text->size;
        text->overflow = true;
    }
    memcpy(text->data + text->size, data, size);
    text->size += size;
}

void text_add(struct text *text, const char *more) { text_add_bytes(text, more, text_length(more)); }

void text_add_number(struct text *text, uint32_t number) {
    char digits[10];
    unsigned at = sizeof digits;
    do
        digits[--at] = (char)('0' + number % 10);
    while (number /= 10);
    text_add_bytes(text, digits + at, sizeof digits - at);
}

void text_add_signed(struct text *text, int32_t number) {
    if (number < 0)
        text_add(text, "-");
    text_add_number(text, number < 0 ? -(uint32_t)number : (uint32_t)number);
}

void text_add_hex(struct text *text, uint32_t number, unsigned digits) {
    while (digits--)
        text_add_bytes(text, &"0123456789abcdef"[number >> 4 * digits & 15], 1);
}

bool number_from_text(const char *text, size_t size, uint32_t most, uint32_t *number) {
    uint32_t value = 0;
    if (size == 0 || size > 10)
        return false;
    for (size_t i = 0; i < size; i++) {
        const uint32_t digit = (uint32_t)text[i] - '0';
        const uint64_t longer = (uint64_t)value * 10 + digit;
        if (digit > 9 || longer > most)
            return false;
        value = (uint32_t)longer;
    }
    *number = value;
    return true;
}

bool signed_from_text(const char *text, size_t size, int32_t *number) {
    const bool negative = size && text[0] == '-';
    uint32_t value;
    if (!number_from_text(text + negative, size - negative, (uint32_t)INT32_MAX, &value))
        return false;
    *number = negative ? -(int32_t)value : (int32_t)value;
    return true;
}
