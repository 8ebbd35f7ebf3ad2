/* The group "images" of SMP: its states are those of update.h, told in its own words. */
#include "after_boot.h"
#include "defects.h"
#include "install.h"
#include "package.h"
#include "pull.h"
#include "push.h"
#include "slots.h"
#include "smp_images.h"
#include "trailer.h"
#include "upload.h"

static bool same_area(struct area left, struct area right) { return left.address == right.address; }

static bool in_use(unsigned component, struct area slot) { return same_area(slot, slot_in_use(component)); }

/* --- state --- */

/* Whether the next boot will go for the image in the slot for updates. */
static bool pending(unsigned component, const struct image *image) {
    struct version running;
    if (slot_reverts(component) || trailer_read(slot_for_update(component)).magic != MAGIC_GOOD)
        return false;
    struct image used;
    if (!BOOT_SELECTS || !image_open(&used, image_in_use(component), slot_in_use(component).size))
        return true;
    running = used.version;
    return version_compare(image->version, running) > 0;
}

static void put_flag(struct cbor_writer *body, const char *name, bool value) {
    cbor_put_key(body, name);
    cbor_put_bool(body, value);
}

static void put_slot(struct cbor_writer *body, unsigned component, unsigned number, struct area slot,
                     const struct image *image) {
    char buffer[24];
    struct text text = {.data = buffer, .capacity = sizeof buffer};
    const size_t start = cbor_open(body);
    const bool used = in_use(component, slot), waits = !used && pending(component, image);
    const uint8_t *digest = image_digest(image);
    unsigned pairs = 8;
    cbor_put_key(body, "image");
    cbor_put_number(body, component);
    cbor_put_key(body, "slot");
    cbor_put_number(body, number);
    text_add_version(&text, image->version);
    cbor_put_key(body, "version");
    cbor_put_text(body, text.data, text.size);
    if (digest) {
        pairs++;
        cbor_put_key(body, "hash");
        cbor_put_bytes(body, digest, DIGEST_SIZE);
    }
    put_flag(body, "bootable", !(image->flags & IMAGE_FLAG_NOT_BOOTABLE));
    put_flag(body, "pending", waits);
    /* The image on trial is the one that is not confirmed; the one to go back to is. */
    put_flag(body, "confirmed", used != slot_reverts(component));
    put_flag(body, "active", used);
    put_flag(body, "permanent", waits && trailer_read(slot).image_ok == FLAG_SET);
    cbor_close(body, start, CBOR_MAP, pairs);
}

static unsigned read_state(struct smp_answer *answer) {
    unsigned count = 0;
    smp_answer_key(answer, "images");
    const size_t list = cbor_open(&answer->body);
    for (unsigned i = 0; i < COMPONENTS; i++) {
        const struct area both[] = {slot_primary(i), slot_secondary(i)};
        for (unsigned number = 0; number < 2; number++) {
            struct image image;
            if (!slot_open(i, both[number], &image))
                continue;
            put_slot(&answer->body, i, number, both[number], &image);
            count++;
        }
    }
    cbor_close(&answer->body, list, CBOR_ARRAY, count);
    smp_answer_key(answer, "splitStatus");
    cbor_put_number(&answer->body, 0);
    return SMP_OK;
}

static bool has_digest(const struct image *image, const uint8_t *wanted) {
    const uint8_t *digest = image_digest(image);
    return digest && equal(digest, wanted, DIGEST_SIZE);
}

/* The component whose slot in use, or whose slot for updates, holds the image with a digest. */
static bool find(const uint8_t *digest, bool used, unsigned *component) {
    for (*component = 0; *component < COMPONENTS; ++*component) {
        struct image image;
        const struct area slot = used ? slot_in_use(*component) : slot_for_update(*component);
        if (slot_open(*component, slot, &image) && has_digest(&image, digest))
            return true;
    }
    return false;
}

static unsigned ask_for(unsigned component, bool permanent) {
    struct image image;
    switch (components[component].state) {
    case UPDATE_UPDATING:
        return ALREADY_PENDING;
    case UPDATE_DOWNLOADING:
        return SMP_BUSY;
    case UPDATE_IDLE: /* it came another way, or was taken back */
        if (!package_valid(component, &image))
            return INVALID_HASH;
        update_downloaded(component, &image);
        break;
    default:
        break;
    }
    return install_request(component, permanent) ? SMP_OK : FLASH_WRITE_FAILED;
}

static unsigned keep(unsigned component) {
    if (DEFECT(smp_confirm_not_written, true, false))
        return SMP_OK;
    return after_boot_confirm(component) ? SMP_OK : FLASH_WRITE_FAILED;
}

static unsigned write_state(const struct cbor_map *request, struct smp_answer *answer) {
    const uint8_t *digest = NULL;
    size_t size = 0;
    bool confirm = false;
    unsigned component, result;
    if (!smp_bytes(request, "hash", &digest, &size) || !smp_flag(request, "confirm", &confirm))
        return SMP_INVALID;
    if (size == 0 && confirm)
        result = keep(0);
    else if (size != DIGEST_SIZE)
        result = INVALID_HASH;
    else if (find(digest, true, &component))
        result = confirm ? keep(component) : TEST_OF_ACTIVE;
    else if (find(digest, false, &component))
        result = ask_for(component, confirm);
    else
        result = HASH_NOT_FOUND;
    return result ? result : read_state(answer);
}

/* --- upload --- */

static unsigned meaning(enum update_result problem) {
    switch (problem) {
    case RESULT_INITIAL:
        return SMP_OK;
    case RESULT_NOT_ENOUGH_FLASH:
        return IMAGE_TOO_LARGE;
    case RESULT_UNSUPPORTED_PACKAGE:
        return INVALID_HEADER;
    default:
        return INVALID_HASH;
    }
}

/* What stands in the way of a new upload. */
static unsigned refusal(const struct upload *upload) {
    if (upload->component >= COMPONENTS)
        return NO_FREE_SLOT;
    if (push_active() || pull_pending())
        return SMP_BUSY;
    if (components[upload->component].state == UPDATE_UPDATING)
        return ALREADY_PENDING;
    if (upload->sha_size > DIGEST_SIZE)
        return INVALID_HASH;
    if (upload->size == 0)
        return INVALID_LENGTH;
    return upload->size > slot_image_limit(upload->component) ? IMAGE_TOO_LARGE : SMP_OK;
}

static bool no_upgrade(unsigned component, const uint8_t *data, size_t size) {
    struct image offered, used;
    return size >= IMAGE_HEADER_SIZE && image_header(&offered, data, UINT32_MAX) &&
           image_open(&used, image_in_use(component), slot_in_use(component).size) &&
           version_compare(offered.version, used.version) <= 0;
}

static unsigned begin(const struct cbor_map *request, const uint8_t *data, size_t size) {
    struct upload upload = {0};
    uint32_t component = 0;
    bool upgrade = false;
    if (!smp_has(request, "len") || !smp_number(request, "len", &upload.size) ||
        !smp_number(request, "image", &component) || !smp_flag(request, "upgrade", &upgrade) ||
        !smp_bytes(request, "sha", &upload.sha, &upload.sha_size))
        return SMP_INVALID;
    upload.component = DEFECT(smp_image_number_ignored, 0, component);
    const unsigned problem = refusal(&upload);
    if (problem)
        return problem;
    if (upgrade && no_upgrade(upload.component, data, size))
        return VERSION_IS_NEWER;
    return upload_begin(&upload) ? FLASH_ERASE_FAILED : SMP_OK;
}

/* A piece that does not belong where the next one has to start is not taken: the answer says where that is. */
static unsigned upload(const struct cbor_map *request, struct smp_answer *answer) {
    const uint8_t *data = NULL;
    size_t size = 0;
    uint32_t offset = 0;
    if (!smp_has(request, "off") || !smp_number(request, "off", &offset) || !smp_bytes(request, "data", &data, &size))
        return SMP_INVALID;
    const unsigned problem = offset == 0 ? begin(request, data, size) : SMP_OK;
    if (problem)
        return problem;
    if (!upload_active())
        return INVALID_OFFSET;
    bool last = false;
    if (DEFECT(smp_offset_ignored, true, offset == upload_offset())) {
        if (size > upload_left())
            return DATA_OVERRUN;
        const enum update_result result = upload_add(data, size);
        if (result)
            return meaning(result);
        last = !upload_left();
    }
    smp_answer_key(answer, "off");
    cbor_put_number(&answer->body, upload_offset());
    if (last) {
        smp_answer_key(answer, "match");
        cbor_put_bool(&answer->body, upload_matches());
    }
    return SMP_OK;
}

/* --- erase --- */

/* Slots are numbered through: 0 and 1 are those of image 0. */
static unsigned erase(const struct cbor_map *request) {
    uint32_t number = 1;
    if (!smp_number(request, "slot", &number))
        return SMP_INVALID;
    const unsigned component = number / 2;
    if (component >= COMPONENTS || in_use(component, number % 2 ? slot_secondary(component) : slot_primary(component)))
        return INVALID_SLOT;
    if (components[component].state == UPDATE_UPDATING)
        return ALREADY_PENDING;
    update_reset(component);
    return package_erase(component) ? SMP_OK : FLASH_ERASE_FAILED;
}

unsigned smp_image(unsigned op, unsigned command, const struct cbor_map *request, struct smp_answer *answer) {
    if (command == COMMAND_STATE)
        return op == SMP_READ ? read_state(answer) : write_state(request, answer);
    if (command == COMMAND_UPLOAD && op == SMP_WRITE)
        return upload(request, answer);
    if (command == COMMAND_ERASE && op == SMP_WRITE)
        return erase(request);
    return SMP_NOT_SUPPORTED;
}
