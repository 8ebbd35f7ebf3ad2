#include "image.h"

#include "platform.h"
#include "sha256.h"

enum { TLV_INFO = 0x6907, TLV_INFO_PROTECTED = 0x6908, TLV_INFO_SIZE = 4, TLV_HEAD_SIZE = 4 };
enum { TLV_SHA256 = 0x10, TLV_DEPENDENCY = 0x40, DEPENDENCY_SIZE = 12 };
enum { HASH_STEP = 4096 };

static struct version get_version(const uint8_t *from) {
    return (struct version){from[0], from[1], (uint16_t)get16(from + 2), get32(from + 4)};
}

bool image_header(struct image *image, const uint8_t header[IMAGE_HEADER_SIZE], uint32_t limit) {
    if (get32(header) != (uint32_t)IMAGE_MAGIC)
        return false;
    image->load_address = get32(header + 4);
    image->header_size = get16(header + 8);
    image->protected_size = get16(header + 10);
    image->payload_size = get32(header + 12);
    image->flags = get32(header + 16);
    image->version = get_version(header + 20);
    image->size = image->header_size + image->payload_size + image->protected_size; /* so far */
    return image->header_size >= IMAGE_HEADER_SIZE && image->payload_size <= limit && image->size <= limit;
}

static uint32_t protected_area(const struct image *image) {
    return image->address + image->header_size + image->payload_size;
}

static uint32_t plain_area(const struct image *image) { return protected_area(image) + image->protected_size; }

bool image_open(struct image *image, uint32_t address, uint32_t limit) {
    image->address = address;
    if (!image_header(image, flash_at(address), limit) || image->size + TLV_INFO_SIZE > limit)
        return false;
    if (image->protected_size) {
        const uint8_t *info = flash_at(protected_area(image));
        if (get16(info) != TLV_INFO_PROTECTED || get16(info + 2) != image->protected_size)
            return false;
    }
    const uint8_t *info = flash_at(plain_area(image));
    const uint32_t total = get16(info + 2);
    if (get16(info) != TLV_INFO || total < TLV_INFO_SIZE)
        return false;
    image->size += total;
    return image->size <= limit;
}

const uint8_t *image_payload(const struct image *image) { return flash_at(image->address + image->header_size); }

/* The entry of a type, by its number among those of that type; NULL if there are not so many or none is left whole. */
static const uint8_t *find_entry(uint32_t area, uint16_t type, unsigned number, uint16_t size) {
    const uint8_t *info = flash_at(area);
    const uint8_t *end = info + get16(info + 2);
    for (const uint8_t *entry = info + TLV_INFO_SIZE; entry + TLV_HEAD_SIZE <= end;) {
        const uint32_t length = get16(entry + 2);
        const uint8_t *value = entry + TLV_HEAD_SIZE;
        if (value + length > end)
            return NULL;
        if (get16(entry) == type && number-- == 0)
            return length == size ? value : NULL;
        entry = value + length;
    }
    return NULL;
}

const uint8_t *image_digest(const struct image *image) {
    return find_entry(plain_area(image), TLV_SHA256, 0, DIGEST_SIZE);
}

void image_hash(uint32_t address, uint32_t size, uint8_t digest[DIGEST_SIZE]) {
    struct sha256 hash;
    sha256_start(&hash);
    while (size) {
        const uint32_t step = size < HASH_STEP ? size : HASH_STEP;
        sha256_add(&hash, flash_at(address), step);
        platform_alive();
        address += step;
        size -= step;
    }
    sha256_finish(&hash, digest);
}

bool image_intact(const struct image *image) {
    const uint8_t *wanted = image_digest(image);
    if (!wanted)
        return false;
    uint8_t digest[DIGEST_SIZE];
    image_hash(image->address, plain_area(image) - image->address, digest);
    return equal(digest, wanted, sizeof digest);
}

bool image_dependency(const struct image *image, unsigned number, struct dependency *dependency) {
    if (!image->protected_size)
        return false; /* the boot loader looks at signed entries only, and so do we */
    const uint8_t *value = find_entry(protected_area(image), TLV_DEPENDENCY, number, DEPENDENCY_SIZE);
    if (!value)
        return false;
    dependency->component = value[0];
    dependency->least = get_version(value + 4);
    return true;
}

int version_compare(struct version left, struct version right) {
    const uint32_t a = (uint32_t)left.major << 24 | (uint32_t)left.minor << 16 | left.revision;
    const uint32_t b = (uint32_t)right.major << 24 | (uint32_t)right.minor << 16 | right.revision;
    return a < b ? -1 : a > b;
}

bool version_same(struct version left, struct version right) {
    return version_compare(left, right) == 0 && left.build == right.build;
}

void text_add_version(struct text *text, struct version version) {
    text_add_number(text, version.major);
    text_add(text, ".");
    text_add_number(text, version.minor);
    text_add(text, ".");
    text_add_number(text, version.revision);
    if (version.build) {
        text_add(text, "+");
        text_add_number(text, version.build);
    }
}
