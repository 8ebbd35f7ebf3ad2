/*
 * The state machine of firmware updates: objects 33629 (Advanced Firmware Update, version 1.0) and 5,
 * which is another view of component 0. update.c keeps states and the record in flash; images come
 * in through push.c, pull.c and upload.c into package.c, install.c hands them to the boot loader, and
 * after_boot.c finds out what became of them.
 */
#ifndef UPDATE_H
#define UPDATE_H

#include "config.h"
#include "image.h"

enum update_state { UPDATE_IDLE, UPDATE_DOWNLOADING, UPDATE_DOWNLOADED, UPDATE_UPDATING };

enum update_result {
    RESULT_INITIAL,
    RESULT_SUCCESS,
    RESULT_NOT_ENOUGH_FLASH,
    RESULT_OUT_OF_RAM,
    RESULT_CONNECTION_LOST,
    RESULT_INTEGRITY_CHECK_FAILED,
    RESULT_UNSUPPORTED_PACKAGE,
    RESULT_INVALID_URI,
    RESULT_UPDATE_FAILED,
    RESULT_UNSUPPORTED_PROTOCOL,
    RESULT_CANCELLED,
    RESULT_DEFERRED,
    RESULT_CONFLICTING_STATE,
    RESULT_DEPENDENCY_ERROR,
};

/* How far a component got, for the time after a power cut. */
enum update_phase {
    PHASE_IDLE,
    PHASE_PULLING,     /* through object 5, to be resumed */
    PHASE_DOWNLOADED,
    PHASE_UPDATING,    /* the boot loader is about to be asked */
    PHASE_HANDED_OVER, /* it has been asked */
    PHASE_UPLOADING,   /* over SMP, to be resumed */
};

enum { URI_MAX = 255, DIGEST_KEPT = 8, SEVERITY_MANDATORY = 1, SEVERITY_MAX = 2, RESUMED_ETAG_MAX = 8 };

struct component {
    uint8_t state, result, phase, severity;
    bool permanent;                  /* the boot loader is asked to keep the update without a trial */
    uint32_t defer_period;           /* resource 13; this device has nobody who would put an update off */
    uint32_t changed_at;             /* resource 12 */
    uint32_t conflicts;              /* components that made the last Update fail, as bits */
    struct version version;          /* of the package that was downloaded */
    uint8_t digest[DIGEST_KEPT];     /* beginning of its SHA-256 */
    char uri[URI_MAX + 1];
    bool pulls;                      /* its download is a pull, which runs or waits for its turn */
    bool single;                     /* that was asked for through object 5 */
    uint32_t turn;                   /* order of pulls */
};

extern struct component components[COMPONENTS];

/* Read the record. after_boot.c makes states of it. */
void update_load(void);

/* Go to a state; everybody who observes it is told. */
void update_become(unsigned component, enum update_state state, enum update_result result);

/* Set phases and write the record; false if the flash does not take it. */
bool update_store(void);
bool update_enter_phase(unsigned component, enum update_phase phase);

/* A download begins: what was there is gone. */
void update_begin_download(unsigned component);

/* A download has ended: with an image that is ready, or with a result that tells why not. */
void update_downloaded(unsigned component, const struct image *image);
void update_download_failed(unsigned component, enum update_result result);

/* Requests; they answer with CoAP codes. */
uint8_t update_set_uri(unsigned component, const char *uri, size_t size, bool single);
uint8_t update_reset(unsigned component);
uint8_t update_cancel(unsigned component);
uint8_t update_set_severity(unsigned component, int32_t severity);
uint8_t update_set_defer_period(unsigned component, int32_t seconds);

/* Resource 12 counts seconds since the start: there is no clock. */
void update_poll(uint32_t now);

/* What a download needs after a reboot: the tag of the resource, or the beginning of the SHA-256 that was told. */
struct resumption {
    uint8_t etag_size, etag[RESUMED_ETAG_MAX];
};
extern struct resumption update_resumption;

#endif
