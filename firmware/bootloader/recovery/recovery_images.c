/* The group "images" of SMP for slots that nothing runs from: list, upload into a primary slot, erase. */
#include "bytes.h"
#include "defects.h"
#include "image.h"
#include "port.h"
#include "sha256.h"
#include "smp_images.h"
#include "swap.h"

/* `size` is 0 as long as there is no upload. */
static struct {
    unsigned image;
    uint32_t size, offset;
    size_t sha_size;
    uint8_t sha[SHA256_SIZE];
} upload;

/* --- state --- */

static void put_version(struct cbor_writer *body, struct version version) {
    char buffer[24];
    struct text text = {.data = buffer, .capacity = sizeof buffer};
    text_add_number(&text, version.major);
    text_add(&text, ".");
    text_add_number(&text, version.minor);
    text_add(&text, ".");
    text_add_number(&text, version.revision);
    if (version.build) {
        text_add(&text, "+");
        text_add_number(&text, version.build);
    }
    cbor_put_text(body, text.data, text.size);
}

static const uint8_t *digest(const struct image *image) {
    struct tlv_walk walk;
    struct tlv tlv;
    if (tlv_begin(&walk, image))
        while (tlv_next(&walk, &tlv) == TLV_FOUND)
            if (tlv.type == TLV_SHA256 && tlv.size == SHA256_SIZE)
                return tlv.data;
    return NULL;
}

/* False if there is nothing to tell of this slot. */
static bool put_slot(struct cbor_writer *body, unsigned number, enum slot slot) {
    const uint32_t place = slot == SECONDARY && HAS_TLV_SIZES ? SECTOR : 0;
    struct image image;
    const enum header_state state = image_open(&image, slot_area(number, slot), place);
    if (!image.valid)
        return false;
    const uint8_t *const hash = digest(&image);
    const size_t start = cbor_open(body);
    cbor_put_key(body, "image");
    cbor_put_number(body, number);
    cbor_put_key(body, "slot");
    cbor_put_number(body, slot);
    cbor_put_key(body, "version");
    put_version(body, image.version);
    cbor_put_key(body, "bootable");
    cbor_put_bool(body, state == HEADER_GOOD && !image_problem(&image, number, image_limit(number, slot)));
    if (hash) {
        cbor_put_key(body, "hash");
        cbor_put_bytes(body, hash, SHA256_SIZE);
    }
    cbor_close(body, start, CBOR_MAP, hash ? 5 : 4);
    return true;
}

static unsigned read_state(struct smp_answer *answer) {
    unsigned count = 0;
    smp_answer_key(answer, "images");
    const size_t list = cbor_open(&answer->body);
    for (unsigned number = 0; number < BOOT_IMAGES; number++)
        for (enum slot slot = PRIMARY; slot <= SECONDARY; slot++)
            count += put_slot(&answer->body, number, slot);
    cbor_close(&answer->body, list, CBOR_ARRAY, count);
    return SMP_OK;
}

/* --- upload and erase --- */

/* Last sector first: what the trailer asks for is gone before the image is. */
static void erase_slot(struct area area) {
    for (uint32_t at = area.size; at; at -= SECTOR) {
        port_watchdog_feed();
        if (!flash_is_erased(flash_at(area, at - SECTOR), SECTOR))
            flash_erase(area, at - SECTOR, SECTOR);
    }
}

static unsigned begin(const struct cbor_map *request) {
    uint32_t size = 0, number = 0;
    const uint8_t *sha = NULL;
    size_t sha_size = 0;
    if (!smp_has(request, "len") || !smp_number(request, "len", &size) || !smp_number(request, "image", &number) ||
        !smp_bytes(request, "sha", &sha, &sha_size))
        return SMP_INVALID;
    if (number >= BOOT_IMAGES)
        return NO_FREE_SLOT;
    const struct area area = slot_area(number, PRIMARY);
    if (sha_size > SHA256_SIZE)
        return INVALID_HASH;
    if (size == 0)
        return INVALID_LENGTH;
    if (size > area.size)
        return IMAGE_TOO_LARGE;
    erase_slot(area);
    upload.image = number;
    upload.size = size;
    upload.offset = 0;
    upload.sha_size = sha_size;
    if (sha_size)
        memcpy(upload.sha, sha, sha_size);
    return SMP_OK;
}

/* Whole write units: what is left of a piece has to come again. Only the last one may be filled up. */
static void add(const uint8_t *data, uint32_t size) {
    const struct area area = slot_area(upload.image, PRIMARY);
    const uint32_t whole = size / UNIT * UNIT;
    flash_write(area, upload.offset, data, whole);
    upload.offset += whole;
    if (upload.size - upload.offset != size - whole || whole == size)
        return;
    uint8_t unit[UNIT];
    memset(unit, ERASED, sizeof unit);
    memcpy(unit, data + whole, size - whole);
    flash_write(area, upload.offset, unit, sizeof unit);
    upload.offset = upload.size;
}

static bool matches(void) {
    const struct area area = slot_area(upload.image, PRIMARY);
    uint8_t found[SHA256_SIZE];
    struct sha256 hash;
    sha256_start(&hash);
    for (uint32_t at = 0; at < upload.size; at += SECTOR) {
        port_watchdog_feed();
        sha256_add(&hash, flash_at(area, at), upload.size - at < SECTOR ? upload.size - at : SECTOR);
    }
    sha256_finish(&hash, found);
    return equal(found, upload.sha, upload.sha_size);
}

/* A piece that does not belong where the next one has to start is not taken: the answer says where that is. */
static unsigned take(const struct cbor_map *request, struct smp_answer *answer) {
    const uint8_t *data = NULL;
    size_t size = 0;
    uint32_t offset = 0;
    if (!smp_has(request, "off") || !smp_number(request, "off", &offset) || !smp_has(request, "data") ||
        !smp_bytes(request, "data", &data, &size))
        return SMP_INVALID;
    const unsigned problem = offset == 0 ? begin(request) : SMP_OK;
    if (problem)
        return problem;
    const uint32_t wanted = upload.size ? upload.offset : 0;
    bool last = false;
    if (upload.size && DEFECT(recovery_offset_ignored, true, offset == wanted)) {
        if (size > upload.size - upload.offset)
            return DATA_OVERRUN;
        last = size > 0 && size == upload.size - upload.offset;
        add(data, (uint32_t)size);
    }
    smp_answer_key(answer, "off");
    cbor_put_number(&answer->body, upload.size ? upload.offset : 0);
    if (last) {
        smp_answer_key(answer, "match");
        cbor_put_bool(&answer->body, matches());
    }
    return SMP_OK;
}

/* Slots are numbered through: 0 and 1 are those of image 0. */
static unsigned erase(const struct cbor_map *request) {
    uint32_t number = 1;
    if (!smp_number(request, "slot", &number))
        return SMP_INVALID;
    if (number / 2 >= BOOT_IMAGES)
        return INVALID_SLOT;
    upload.size = 0;
    erase_slot(slot_area(number / 2, number % 2 ? SECONDARY : PRIMARY));
    return SMP_OK;
}

unsigned smp_image(unsigned op, unsigned command, const struct cbor_map *request, struct smp_answer *answer) {
    if (command == COMMAND_STATE && op == SMP_READ)
        return read_state(answer);
    if (command == COMMAND_UPLOAD && op == SMP_WRITE)
        return take(request, answer);
    if (command == COMMAND_ERASE && op == SMP_WRITE)
        return erase(request);
    return SMP_NOT_SUPPORTED;
}
