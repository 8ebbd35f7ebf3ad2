#include "push.h"

#include "base64.h"
#include "defects.h"
#include "package.h"
#include "platform.h"
#include "pull.h"
#include "upload.h"

static struct {
    bool active;
    unsigned component;
    uint32_t position; /* in the body as it is sent: in base64, if it is */
    uint32_t heard_at;
    enum update_result problem; /* the package is no good; its rest is taken and dropped */
    struct base64 base64;
} push;

bool push_active(void) { return push.active; }

void push_abort(unsigned component) {
    if (push.component == component)
        push.active = false;
}

void push_poll(uint32_t now) {
    if (!push.active || now - push.heard_at < PUSH_TIMEOUT_MS)
        return;
    push.active = false;
    update_download_failed(push.component, push.problem ? push.problem : RESULT_CONNECTION_LOST);
}

static bool is_reset(struct block block, const uint8_t *data, size_t size, bool base64) {
    if (block.number || block.more)
        return false;
    return base64 ? size == 4 && equal(data, "AA==", 4) : size == 1 && data[0] == 0;
}

/* The code that stands in the way of a new push, 0 if there is none. */
static uint8_t refusal(unsigned component) {
    switch (components[component].state) {
    case UPDATE_IDLE:
        return push.active || upload_active() || pull_pending() ? COAP_NOT_ALLOWED : 0;
    case UPDATE_DOWNLOADED:
        return COAP_BAD_REQUEST;
    case UPDATE_UPDATING:
        return DEFECT(download_while_updating, 0, COAP_NOT_ALLOWED);
    default:
        return COAP_NOT_ALLOWED;
    }
}

static void begin(unsigned component) {
    push.active = true;
    push.component = component;
    push.position = 0;
    push.base64 = (struct base64){0};
    components[component].uri[0] = 0;
    update_begin_download(component);
    push.problem = package_begin(component);
}

/*
 * A package that turns out to be bad is still taken to its end, and refused by its result: the
 * code of an answer says whether the request was legal, and it was.
 */
static bool take(const uint8_t *data, size_t size, bool base64) {
    static uint8_t decoded[BLOCK_MAX];
    if (base64) {
        if (!base64_decode(&push.base64, data, size, decoded, &size))
            return false;
        data = decoded;
    }
    if (!push.problem)
        push.problem = package_write(data, size);
    return true;
}

static void finish(void) {
    struct image image;
    push.active = false;
    if (!push.problem)
        push.problem = package_finish(&image);
    if (push.problem)
        update_download_failed(push.component, push.problem);
    else
        update_downloaded(push.component, &image);
}

uint8_t push_block(unsigned component, struct block block, const uint8_t *data, size_t size, bool base64) {
    if (is_reset(block, data, size, base64))
        return update_reset(component);
    if (block.more && size != block_size(block))
        return COAP_BAD_REQUEST;
    if (block.number == 0) {
        const uint8_t code = refusal(component);
        if (code)
            return code;
        begin(component);
    } else if (!push.active || push.component != component ||
               DEFECT(takes_any_block, false, block_offset(block) != push.position)) {
        return COAP_INCOMPLETE;
    }
    if (DEFECT(record_with_each_block, true, false))
        update_store();
    push.position += (uint32_t)size;
    push.heard_at = platform_milliseconds();
    if (!take(data, size, base64) || (!block.more && base64 && !base64_complete(&push.base64))) {
        push.active = false;
        update_download_failed(component, RESULT_INITIAL);
        return COAP_BAD_REQUEST;
    }
    if (block.more)
        return COAP_CONTINUE;
    finish();
    return COAP_CHANGED;
}
