#include "upload.h"

#include "defects.h"
#include "package.h"
#include "platform.h"
#include "slots.h"

static struct {
    bool active, noted;
    unsigned component;
    uint32_t size, offset, heard_at;
    uint8_t sha_size, sha[DIGEST_SIZE];
} upload;

bool upload_active(void) { return upload.active; }

uint32_t upload_offset(void) { return upload.offset; }

uint32_t upload_left(void) { return upload.size - upload.offset; }

void upload_abort(unsigned component) {
    if (upload.component == component)
        upload.active = false;
}

void upload_poll(uint32_t now) {
    if (!upload.active || now - upload.heard_at < PUSH_TIMEOUT_MS)
        return;
    upload.active = false;
    update_download_failed(upload.component, RESULT_CONNECTION_LOST);
}

static bool same(const struct upload *other) {
    return upload.active && upload.component == other->component && upload.size == other->size && other->sha_size &&
           upload.sha_size == other->sha_size && equal(upload.sha, other->sha, other->sha_size);
}

/* Whether this is what a reset has interrupted. */
static bool resumes(const struct upload *wanted) {
    return components[wanted->component].phase == PHASE_UPLOADING && wanted->sha_size >= RESUMED_ETAG_MAX &&
           update_resumption.etag_size == RESUMED_ETAG_MAX &&
           equal(update_resumption.etag, wanted->sha, RESUMED_ETAG_MAX) &&
           package_resume(wanted->component, &upload.offset) && upload.offset <= wanted->size;
}

/* So that the upload can go on after a reset: once the gap behind it is there, see package_resume(). */
static void note(void) {
    if (upload.noted || upload.sha_size < RESUMED_ETAG_MAX)
        return;
    upload.noted = true;
    for (unsigned i = 0; i < COMPONENTS; i++)
        if (components[i].phase == PHASE_UPLOADING)
            components[i].phase = PHASE_IDLE;
    update_resumption.etag_size = RESUMED_ETAG_MAX;
    memcpy(update_resumption.etag, upload.sha, RESUMED_ETAG_MAX);
    update_enter_phase(upload.component, PHASE_UPLOADING);
}

enum update_result upload_begin(const struct upload *wanted) {
    upload.heard_at = platform_milliseconds();
    if (same(wanted))
        return RESULT_INITIAL;
    if (upload.active)
        update_download_failed(upload.component, RESULT_CANCELLED);
    upload.active = true;
    upload.component = wanted->component;
    upload.size = wanted->size;
    upload.sha_size = (uint8_t)wanted->sha_size;
    memcpy(upload.sha, wanted->sha, wanted->sha_size);
    components[upload.component].uri[0] = 0;
    upload.noted = resumes(wanted);
    if (upload.noted) {
        update_become(upload.component, UPDATE_DOWNLOADING, RESULT_INITIAL);
        return RESULT_INITIAL;
    }
    upload.offset = 0;
    update_begin_download(upload.component);
    const enum update_result problem = package_begin(upload.component);
    if (problem) {
        upload.active = false;
        update_download_failed(upload.component, problem);
    }
    return problem;
}

static enum update_result finish(void) {
    struct image image;
    upload.active = false;
    const enum update_result problem = package_finish(&image);
    if (problem)
        update_download_failed(upload.component, problem);
    else
        update_downloaded(upload.component, &image);
    return problem;
}

enum update_result upload_add(const uint8_t *data, size_t size) {
    if (!size)
        return RESULT_INITIAL;
    const enum update_result problem = package_write(data, size);
    if (problem) {
        upload.active = false;
        update_download_failed(upload.component, problem);
        return problem;
    }
    upload.offset += (uint32_t)size;
    upload.heard_at = platform_milliseconds();
    if (!upload_left())
        return finish();
    note();
    return RESULT_INITIAL;
}

bool upload_matches(void) {
    uint8_t digest[DIGEST_SIZE];
    image_hash(image_for_update(upload.component), upload.size, digest);
    return upload.sha_size == sizeof digest && equal(digest, upload.sha, sizeof digest);
}
