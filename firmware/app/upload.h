/* Packages that come piece by piece over SMP, each with its offset. They go the way of all packages: package.h. */
#ifndef UPLOAD_H
#define UPLOAD_H

#include "update.h"

/* What the first piece tells. */
struct upload {
    unsigned component;
    uint32_t size;
    const uint8_t *sha; /* SHA-256 of all pieces, or another name of the upload; `sha_size` 0 without */
    size_t sha_size;
};

/* Whether an upload is under way for any component. */
bool upload_active(void);

/* Begin, or go on with what has come of the same upload before, also before a reset. RESULT_INITIAL, or why not. */
enum update_result upload_begin(const struct upload *upload);

/* Where the next piece has to start. */
uint32_t upload_offset(void);

/* How many bytes are still to come. */
uint32_t upload_left(void);

/* Take the piece that starts at upload_offset(). The last one gets the package checked. */
enum update_result upload_add(const uint8_t *data, size_t size);

/* Whether what is in flash after the last piece has the SHA-256 that was told. */
bool upload_matches(void);

void upload_abort(unsigned component);

/* Give up an upload of which nothing was heard for PUSH_TIMEOUT_MS. */
void upload_poll(uint32_t now);

#endif
