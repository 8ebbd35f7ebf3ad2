#include "update.h"

#include "coap_message.h"
#include "defects.h"
#include "observe.h"
#include "platform.h"
#include "pull.h"
#include "push.h"
#include "record.h"
#include "upload.h"

struct component components[COMPONENTS];
struct resumption update_resumption;

/* The record in flash. Other versions of the application read it: fields are only ever appended, with a new format. */
enum { RECORD_FORMAT = 1, NOTHING_PULLS = 0xFF };

struct kept_component {
    uint8_t phase, result, severity, permanent;
    uint32_t defer_period;
    uint8_t major, minor;
    uint16_t revision;
    uint32_t build;
    uint8_t digest[DIGEST_KEPT];
};

struct kept {
    uint8_t format, count, pulling, etag_size;
    uint8_t etag[RESUMED_ETAG_MAX];
    struct kept_component components[COMPONENTS];
    char uri[URI_MAX + 1]; /* as much of it as is needed */
};

_Static_assert(sizeof(struct kept_component) == 24, "the record's layout is fixed");
_Static_assert(sizeof(struct kept) <= RECORD_MAX, "too many components for one record");

void update_load(void) {
    static struct kept kept;
    const size_t size = record_load(&kept, sizeof kept);
    for (unsigned i = 0; i < COMPONENTS; i++)
        components[i].severity = SEVERITY_MANDATORY;
    if (size < sizeof kept - sizeof kept.uri || kept.format != RECORD_FORMAT || kept.count != COMPONENTS)
        return;
    for (unsigned i = 0; i < COMPONENTS; i++) {
        const struct kept_component *from = &kept.components[i];
        struct component *to = &components[i];
        to->phase = from->phase <= PHASE_UPLOADING ? from->phase : PHASE_IDLE;
        to->result = from->result;
        to->severity = from->severity;
        to->permanent = from->permanent == 1;
        to->defer_period = from->defer_period;
        to->version = (struct version){from->major, from->minor, from->revision, from->build};
        memcpy(to->digest, from->digest, DIGEST_KEPT);
    }
    update_resumption.etag_size = kept.etag_size;
    memcpy(update_resumption.etag, kept.etag, sizeof kept.etag);
    if (kept.pulling < COMPONENTS)
        memcpy(components[kept.pulling].uri, kept.uri, size - (sizeof kept - sizeof kept.uri));
}

bool update_store(void) {
    static struct kept kept;
    size_t uri_size = 0;
    memset(&kept, 0, sizeof kept);
    kept.format = RECORD_FORMAT;
    kept.count = COMPONENTS;
    kept.pulling = NOTHING_PULLS;
    for (unsigned i = 0; i < COMPONENTS; i++) {
        const struct component *from = &components[i];
        struct kept_component *to = &kept.components[i];
        to->phase = from->phase;
        to->severity = from->severity;
        to->permanent = from->permanent;
        to->defer_period = from->defer_period;
        /* Of the results only those of updates outlive a reset. */
        if (from->state == UPDATE_IDLE && (from->result == RESULT_SUCCESS || from->result == RESULT_UPDATE_FAILED))
            to->result = from->result;
        to->major = from->version.major;
        to->minor = from->version.minor;
        to->revision = from->version.revision;
        to->build = from->version.build;
        memcpy(to->digest, from->digest, DIGEST_KEPT);
        if (from->phase == PHASE_PULLING) {
            kept.pulling = (uint8_t)i;
            uri_size = text_length(from->uri) + 1;
            memcpy(kept.uri, from->uri, uri_size);
        }
        if (from->phase == PHASE_PULLING || from->phase == PHASE_UPLOADING) {
            kept.etag_size = update_resumption.etag_size;
            memcpy(kept.etag, update_resumption.etag, sizeof kept.etag);
        }
    }
    return record_store(&kept, sizeof kept - sizeof kept.uri + uri_size);
}

bool update_enter_phase(unsigned component, enum update_phase phase) {
    components[component].phase = phase;
    return update_store();
}

void update_become(unsigned component, enum update_state state, enum update_result result) {
    struct component *it = &components[component];
    if (it->state != state)
        it->changed_at = platform_milliseconds() / 1000;
    if (state != UPDATE_DOWNLOADED)
        it->conflicts = 0;
    it->state = state;
    it->result = result;
    observe_changed();
}

void update_begin_download(unsigned component) {
    const enum update_result result = DEFECT(stale_result, components[component].result, RESULT_INITIAL);
    update_become(component, UPDATE_DOWNLOADING, result);
    if (components[component].phase != PHASE_PULLING)
        update_enter_phase(component, DEFECT(unfinished_counts_as_downloaded, PHASE_DOWNLOADED, PHASE_IDLE));
}

void update_downloaded(unsigned component, const struct image *image) {
    struct component *it = &components[component];
    it->pulls = false;
    it->version = image->version;
    memcpy(it->digest, image_digest(image), DIGEST_KEPT);
    for (unsigned other = 0; other < COMPONENTS; other++)
        components[other].conflicts &= ~(1u << component); /* now it comes along */
    update_become(component, UPDATE_DOWNLOADED, DEFECT(stale_result, it->result, RESULT_INITIAL));
    update_enter_phase(component, PHASE_DOWNLOADED);
}

void update_download_failed(unsigned component, enum update_result result) {
    components[component].pulls = false;
    update_become(component, UPDATE_IDLE, result);
    update_enter_phase(component, PHASE_IDLE);
}

static void drop(unsigned component, enum update_result result) {
    push_abort(component);
    upload_abort(component);
    pull_abort(component);
    components[component].uri[0] = 0;
    if (DEFECT(cancel_not_recorded, true, false))
        update_become(component, UPDATE_IDLE, result);
    else
        update_download_failed(component, result);
}

uint8_t update_reset(unsigned component) {
    if (components[component].state == UPDATE_UPDATING)
        return COAP_NOT_ALLOWED;
    if (!DEFECT(reset_keeps_state, true, false))
        drop(component, RESULT_INITIAL);
    return COAP_CHANGED;
}

uint8_t update_cancel(unsigned component) {
    const uint8_t state = components[component].state;
    if (state != UPDATE_DOWNLOADING && state != UPDATE_DOWNLOADED)
        return COAP_NOT_ALLOWED;
    drop(component, RESULT_CANCELLED);
    return COAP_CHANGED;
}

uint8_t update_set_uri(unsigned component, const char *uri, size_t size, bool single) {
    static uint32_t turns;
    struct component *it = &components[component];
    if (size == 0)
        return update_reset(component);
    if (it->state != UPDATE_IDLE || size > URI_MAX)
        return COAP_BAD_REQUEST;
    if (!pull_scheme_known(uri, size)) {
        update_download_failed(component, RESULT_UNSUPPORTED_PROTOCOL);
        return COAP_BAD_REQUEST;
    }
    memcpy(it->uri, uri, size);
    it->uri[size] = 0;
    it->pulls = true;
    it->single = single;
    it->turn = ++turns;
    update_begin_download(component);
    return COAP_CHANGED;
}

uint8_t update_set_severity(unsigned component, int32_t severity) {
    if (severity < 0 || severity > SEVERITY_MAX)
        return COAP_BAD_REQUEST;
    components[component].severity = (uint8_t)severity;
    observe_changed();
    return update_store() ? COAP_CHANGED : COAP_SERVER_ERROR;
}

uint8_t update_set_defer_period(unsigned component, int32_t seconds) {
    if (seconds < 0)
        return COAP_BAD_REQUEST;
    components[component].defer_period = (uint32_t)seconds;
    observe_changed();
    return update_store() ? COAP_CHANGED : COAP_SERVER_ERROR;
}

void update_poll(uint32_t now) {
    push_poll(now);
    upload_poll(now);
    pull_poll(now);
}
