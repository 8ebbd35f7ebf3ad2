#include "pull.h"

#include "bytes.h"
#include "coap.h"
#include "defects.h"
#include "package.h"
#include "platform.h"
#include "push.h"
#include "registration.h"
#include "upload.h"
#include "uri.h"

enum { LARGEST_EXPONENT = 6, RESTARTS_MAX = 3 };

static struct {
    bool active;
    unsigned component;
    bool waits_for_server; /* resumed after a reboot */
    uint32_t offset;
    uint32_t heard_at;
    uint8_t exponent;
    unsigned restarts;
    uint8_t etag_size, etag[ETAG_MAX];
} pull;

bool pull_scheme_known(const char *uri, size_t size) { return uri_is_coap(uri, size); }

bool pull_pending(void) {
    for (unsigned i = 0; i < COMPONENTS; i++)
        if (components[i].pulls)
            return true;
    return false;
}

void pull_abort(unsigned component) {
    components[component].pulls = false;
    if (!pull.active || pull.component != component)
        return;
    pull.active = false;
    coap_cancel(COAP_PULL);
}

static void fail(enum update_result result) {
    pull.active = false;
    update_download_failed(pull.component, result);
}

/* From the beginning, as what has been fetched so far belongs to something that is no more. */
static void start_over(void) {
    if (pull.restarts++ == RESTARTS_MAX) {
        fail(RESULT_CONNECTION_LOST);
        return;
    }
    pull.offset = 0;
    pull.etag_size = 0;
    const enum update_result problem = package_begin(pull.component);
    if (problem)
        fail(problem);
}

static bool same_etag(const struct coap_message *answer) {
    struct coap_option option;
    const bool given = coap_find_option(answer, OPTION_ETAG, &option) && option.size <= ETAG_MAX;
    const size_t size = given ? option.size : 0;
    if (pull.offset == 0) {
        pull.etag_size = (uint8_t)size;
        if (size)
            memcpy(pull.etag, option.value, size);
        return true;
    }
    return size == pull.etag_size && (!size || equal(pull.etag, option.value, size));
}

/* So that a pull through object 5 can go on after a reboot; without a tag nobody could tell whether it may. */
static void remember(void) {
    struct component *it = &components[pull.component];
    if (pull.offset || !it->single || !pull.etag_size)
        return;
    update_resumption.etag_size = pull.etag_size;
    memcpy(update_resumption.etag, pull.etag, pull.etag_size);
    update_enter_phase(pull.component, PHASE_PULLING);
}

static void finish(void) {
    struct image image;
    const enum update_result problem = package_finish(&image);
    if (problem) {
        fail(problem);
        return;
    }
    pull.active = false;
    update_downloaded(pull.component, &image);
}

static void take(const struct coap_message *answer) {
    struct coap_option option;
    struct block block = {0};
    const bool blockwise = coap_find_option(answer, OPTION_BLOCK2, &option);
    const bool good = !blockwise || block_from_option(&block, &option) == 0;
    if (!good || block_offset(block) != pull.offset || (block.more && answer->payload_size != block_size(block))) {
        fail(RESULT_CONNECTION_LOST); /* the server makes no sense */
        return;
    }
    if (!same_etag(answer)) {
        start_over();
        return;
    }
    const enum update_result problem = package_write(answer->payload, answer->payload_size);
    if (problem) {
        fail(problem);
        return;
    }
    remember();
    pull.offset += (uint32_t)answer->payload_size;
    pull.heard_at = platform_milliseconds();
    if (blockwise)
        pull.exponent = block.size_exponent; /* the server may have chosen smaller ones */
    if (!block.more)
        finish();
}

static void answered(enum coap_outcome outcome, const struct coap_message *answer) {
    const uint32_t patience = DEFECT(requests_not_repeated, 0, PULL_TIMEOUT_MS);
    if (outcome == COAP_TIMED_OUT && platform_milliseconds() - pull.heard_at < patience)
        return; /* the link may be bad for a while: pull_poll asks again */
    if (outcome != COAP_ANSWERED)
        fail(RESULT_CONNECTION_LOST);
    else if (answer->code == COAP_CONTENT)
        take(answer);
    else if (pull.offset && (answer->code == COAP_INCOMPLETE || answer->code == COAP_BAD_REQUEST))
        start_over(); /* the resource has become shorter, or the server has lost its place */
    else
        fail(COAP_CLASS(answer->code) == 4 ? RESULT_INVALID_URI : RESULT_CONNECTION_LOST);
}

static void ask(void) {
    const struct component *it = &components[pull.component];
    const struct block block = {true, false, pull.exponent, pull.offset >> (pull.exponent + 4)};
    struct coap_writer *writer = coap_request(COAP_PULL, COAP_GET, NULL);
    uri_add_options(writer, it->uri);
    coap_add_uint(writer, OPTION_BLOCK2, block_value(block));
    coap_send(COAP_PULL, answered);
}

static void set_up(unsigned component) {
    memset(&pull, 0, sizeof pull);
    pull.active = true;
    pull.component = component;
    pull.exponent = LARGEST_EXPONENT;
    pull.heard_at = platform_milliseconds();
}

static void start(unsigned component) {
    set_up(component);
    if (!uri_add_options(NULL, components[component].uri)) {
        fail(RESULT_INVALID_URI);
        return;
    }
    const enum update_result problem = package_begin(component);
    if (problem)
        fail(problem);
}

/* Whatever became of the pull before, the next one gets its turn. */
static void start_next(void) {
    int next = -1;
    for (int i = 0; i < COMPONENTS; i++)
        if (components[i].pulls && (next < 0 || (int32_t)(components[i].turn - components[next].turn) < 0))
            next = i;
    if (next >= 0 && !push_active() && !upload_active())
        start((unsigned)next);
}

void pull_resume(unsigned component) {
    set_up(component);
    components[component].pulls = true;
    pull.waits_for_server = true;
    if (DEFECT(pull_starts_over, false, package_resume(component, &pull.offset))) {
        pull.etag_size = update_resumption.etag_size;
        memcpy(pull.etag, update_resumption.etag, sizeof pull.etag);
        return;
    }
    pull.offset = 0;
    const enum update_result problem = package_begin(component);
    if (problem)
        fail(problem);
}

void pull_poll(uint32_t now) {
    if (!pull.active)
        start_next();
    if (!pull.active || coap_busy(COAP_PULL))
        return;
    if (pull.waits_for_server && !registration_done()) {
        pull.heard_at = now; /* the server cannot answer yet */
        return;
    }
    ask();
}
