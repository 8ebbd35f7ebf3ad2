#include "image.h"

#include "counter.h"
#include "defects.h"
#include "endian.h"
#include "memory.h"
#include "port.h"
#include "sha256.h"
#include "sha512.h"
#include "signature.h"

#define IMAGE_MAGIC 0x96F3B83Du

enum {
    ORDINARY_MAGIC = 0x6907,
    PROTECTED_MAGIC = 0x6908,
    INFO_SIZE = 4, /* before each TLV area, and before each entry */
    FLAG_NOT_BOOTABLE = 0x10,
    FLAGS_NOT_SUPPORTED = 0x04 | 0x08 | 0x200 | 0x400 | 0x800, /* encryption and compression */
    HASH_STEP = 4096,
};

bool image_has_magic(struct area area, uint32_t offset) {
    return get32(flash_at(area, offset)) == IMAGE_MAGIC;
}

static bool sizes_fit(const struct image *image) {
    uint32_t size = 0;
    const uint32_t parts[] = {image->header_size, image->payload_size, image->protected_size};
    for (unsigned i = 0; i < 3; i++) {
        if (parts[i] >= image->room - size) /* never past the end, whatever the header says */
            return false;
        size += parts[i];
    }
    return true;
}

enum header_state image_open(struct image *image, struct area area, uint32_t offset) {
    const uint8_t *const at = flash_at(area, offset);
    *image = (struct image){
        .start = at,
        .room = area.size - offset,
        .load_address = get32(at + 4),
        .header_size = get16(at + 8),
        .protected_size = get16(at + 10),
        .payload_size = get32(at + 12),
        .flags = get32(at + 16),
        .version = {at[20], at[21], (uint16_t)get16(at + 22), get32(at + 24)},
    };
    image->valid = image_has_magic(area, offset) && !(image->flags & FLAGS_NOT_SUPPORTED) && sizes_fit(image);
    if (!image->valid)
        image->header_size = image->payload_size = image->protected_size = 0;
    if (flash_is_erased(at, 4))
        return HEADER_ERASED;
    if (DEFECT(boots_not_bootable, 0, image->flags & FLAG_NOT_BOOTABLE))
        return HEADER_NOT_BOOTABLE;
    return image->valid ? HEADER_GOOD : HEADER_BAD;
}

int version_compare(const struct version *left, const struct version *right) {
    if (left->major != right->major)
        return left->major - right->major;
    if (left->minor != right->minor)
        return DEFECT(minor_version_ignored, 0, left->minor - right->minor);
    if (left->revision != right->revision)
        return left->revision - right->revision;
#if BOOT_COMPARE_BUILD_NUMBER
    if (left->build != right->build)
        return left->build < right->build ? -1 : 1;
#endif
    return 0;
}

bool tlv_begin(struct tlv_walk *walk, const struct image *image) {
    const uint32_t start = image->header_size + image->payload_size;
    const uint32_t ordinary = start + image->protected_size;
    if (image->room - ordinary < INFO_SIZE)
        return false;
    if (image->protected_size && (get16(image->start + start) != PROTECTED_MAGIC ||
                                  get16(image->start + start + 2) != image->protected_size))
        return false;
    if (get16(image->start + ordinary) != ORDINARY_MAGIC)
        return false;
    *walk = (struct tlv_walk){
        .image = image,
        .at = start + INFO_SIZE,
        .protected_end = ordinary,
        .end = ordinary + get16(image->start + ordinary + 2),
    };
    return walk->end <= image->room;
}

enum tlv_result tlv_next(struct tlv_walk *walk, struct tlv *tlv) {
    if (walk->image->protected_size && walk->at == walk->protected_end)
        walk->at += INFO_SIZE; /* from the protected area to the ordinary one */
    if (walk->at >= walk->end)
        return TLV_END;
    const bool is_protected = walk->at < walk->protected_end;
    const uint32_t left = (is_protected ? walk->protected_end : walk->end) - walk->at;
    const uint8_t *const entry = walk->image->start + walk->at;
    if (left < INFO_SIZE || get16(entry + 2) > left - INFO_SIZE)
        return TLV_BROKEN;
    *tlv = (struct tlv){get16(entry), get16(entry + 2), entry + INFO_SIZE, is_protected};
    walk->at += INFO_SIZE + tlv->size;
    return TLV_FOUND;
}

uint32_t image_size(const struct image *image) {
    struct tlv_walk walk;
    return tlv_begin(&walk, image) ? walk.end : 0;
}

bool image_counter(const struct image *image, uint32_t *counter) {
    struct tlv_walk walk;
    struct tlv tlv;
    if (!tlv_begin(&walk, image))
        return false;
    while (tlv_next(&walk, &tlv) == TLV_FOUND && tlv.is_protected)
        if (tlv.type == TLV_SECURITY_COUNTER && tlv.size == 4) {
            *counter = get32(tlv.data);
            return true;
        }
    return false;
}

static uint32_t signed_size(const struct image *image) {
    return image->header_size + image->payload_size + image->protected_size;
}

static void hash_image(const struct image *image, uint8_t digest[SHA256_SIZE]) {
    struct sha256 hash;
    sha256_start(&hash);
    for (uint32_t at = 0, size = signed_size(image); at < size; at += HASH_STEP) {
        port_watchdog_feed();
        sha256_add(&hash, image->start + at, size - at < HASH_STEP ? size - at : HASH_STEP);
    }
    sha256_finish(&hash, digest);
}

/*
 * Whether an entry names the key that this bootloader trusts: by SHA-256 of its DER form, by the SHA-512
 * that comes with signatures over the image itself, or by the whole DER form.
 */
static bool names_our_key(const struct tlv *tlv) {
    static const uint8_t ours[SHA256_SIZE] = BOOT_KEY_HASH;
    uint8_t digest[SHA512_SIZE];
    if (tlv->type == TLV_PUBLIC_KEY) {
        struct sha256 hash;
        sha256_start(&hash);
        sha256_add(&hash, tlv->data, tlv->size);
        sha256_finish(&hash, digest);
        return memcmp(digest, ours, SHA256_SIZE) == 0;
    }
    if (tlv->size == SHA512_SIZE) {
        signature_key_hash(digest);
        return memcmp(tlv->data, digest, SHA512_SIZE) == 0;
    }
    return tlv->size == SHA256_SIZE && memcmp(tlv->data, ours, SHA256_SIZE) == 0;
}

static bool has_pure_signature(const struct image *image) {
    struct tlv_walk walk;
    struct tlv tlv;
    if (!tlv_begin(&walk, image))
        return false;
    while (tlv_next(&walk, &tlv) == TLV_FOUND)
        if (tlv.type == TLV_PURE && tlv.size == 1 && tlv.data[0] == 1)
            return true;
    return false;
}

const char *image_problem(const struct image *image, unsigned number, uint32_t limit) {
    const bool pure = has_pure_signature(image);
    bool hash_seen = pure, key_known = false, signature_seen = false, counter_seen = false;
    uint8_t digest[SHA256_SIZE];
    struct tlv_walk walk;
    struct tlv tlv;
    enum tlv_result result;

    if (!tlv_begin(&walk, image))
        return "TLVs are broken";
    if (walk.end > DEFECT(trailer_not_counted, image->room, limit))
        return "too large";
    hash_image(image, digest);
    while ((result = tlv_next(&walk, &tlv)) == TLV_FOUND) {
        switch (tlv.type) {
        case TLV_SHA256:
            if (tlv.size != SHA256_SIZE ||
                memcmp(tlv.data, digest, DEFECT(digest_not_compared, 0, SHA256_SIZE)) != 0)
                return "digest is wrong";
            hash_seen = true;
            break;
        case TLV_KEY_HASH:
        case TLV_PUBLIC_KEY:
            key_known = names_our_key(&tlv);
            break;
        case TLV_ED25519:
            if (!key_known)
                break; /* somebody else's; ours may follow */
            key_known = false;
            if (tlv.size != SIGNATURE_SIZE)
                return "signature is broken";
            if (!(pure ? signature_good(tlv.data, image->start, signed_size(image))
                       : signature_good(tlv.data, digest, sizeof digest)))
                return "signature is wrong";
            signature_seen = true;
            break;
        case TLV_SECURITY_COUNTER:
            if (HARDWARE_ROLLBACK && tlv.is_protected) {
                if (tlv.size != 4 || get32(tlv.data) < DEFECT(stored_counter_ignored, 0, counter_stored(number)))
                    return "security counter is too low";
                counter_seen = true;
            }
            break;
        default:
            break;
        }
    }
    if (result == TLV_BROKEN)
        return "TLVs are broken";
    if (!hash_seen)
        return "no digest";
    if (!DEFECT(signature_optional, true, signature_seen))
        return "no signature by a known key";
    if (HARDWARE_ROLLBACK && !counter_seen)
        return "no security counter";
    return 0;
}
