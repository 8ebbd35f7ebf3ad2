#include "after_boot.h"

#include "behaviour.h"
#include "console.h"
#include "defects.h"
#include "package.h"
#include "platform.h"
#include "pull.h"
#include "slots.h"
#include "trailer.h"
#include "update.h"

static bool is_wanted(const struct component *component, const struct image *image) {
    const uint8_t *digest = image_digest(image);
    return digest && version_same(image->version, component->version) && equal(digest, component->digest, DIGEST_KEPT);
}

/* Whether the slot in use holds what was downloaded. Nothing else makes a success. */
static bool installed(unsigned component) {
    struct image image;
    const bool there = image_open(&image, image_in_use(component), slot_in_use(component).size) &&
                       is_wanted(&components[component], &image);
    return DEFECT(false_success, true, there);
}

static bool still_downloaded(unsigned component) {
    struct image image;
    return package_valid(component, &image) && is_wanted(&components[component], &image);
}

/*
 * Power failed while the boot loader was being asked (see install.c). What has not been installed
 * is asked for again, once: the new record makes sure of that.
 */
static void complete_request(void) {
    bool again = false, possible = true, any = false;
    for (unsigned i = 0; i < COMPONENTS; i++) {
        if (components[i].phase != PHASE_UPDATING)
            continue;
        any = true;
        if (!installed(i)) {
            again = true;
            possible = possible && still_downloaded(i) && trailer_set_pending(i, components[i].permanent);
        }
        components[i].phase = PHASE_HANDED_OVER;
    }
    if (!any)
        return;
    const bool stored = update_store();
    if (again && possible && stored) {
        console_print("update: the request is completed, restart\n");
        platform_restart();
    }
}

/* A bad image on trial goes away by a reset; where there is no way back, it stays and says that it is bad. */
static void refuse_image(void) {
    console_print("self test: failed\n");
    for (unsigned i = 0; i < COMPONENTS; i++)
        if (slot_reverts(i)) {
            console_print("restart, to get the previous image back\n");
            platform_restart();
        }
}

bool after_boot_confirm_all(void) {
    bool good = true;
#ifndef BOOT_MODE_DIRECT_XIP /* which knows no trial */
    for (unsigned i = 0; i < COMPONENTS; i++)
        good = trailer_confirm(i) && good;
#endif
    return good;
}

static void conclude(unsigned component, enum update_result result) {
    components[component].phase = PHASE_IDLE;
    update_become(component, UPDATE_IDLE, result);
}

/*
 * An image that lies where it was downloaded to, with the request still standing, was held back by
 * the boot loader because of its dependencies. The update is over, so the request goes.
 */
static void fail(unsigned component) {
    struct image image;
    if (image_open(&image, image_for_update(component), slot_image_limit(component)) &&
        is_wanted(&components[component], &image))
        trailer_withdraw(component);
    conclude(component, RESULT_UPDATE_FAILED);
}

static void settle_update(unsigned component, bool good, bool confirmed) {
    if (!good || !installed(component))
        fail(component);
    else if (DEFECT(success_before_confirm, true, confirmed))
        conclude(component, RESULT_SUCCESS);
    else
        update_become(component, UPDATE_UPDATING, RESULT_INITIAL); /* on trial, for as long as it runs */
}

static void settle(unsigned component, bool good, bool confirmed) {
    switch (components[component].phase) {
    case PHASE_HANDED_OVER:
        settle_update(component, good, confirmed);
        break;
    case PHASE_DOWNLOADED:
        if (DEFECT(unfinished_counts_as_downloaded, true, still_downloaded(component)))
            update_become(component, UPDATE_DOWNLOADED, RESULT_INITIAL);
        else
            conclude(component, RESULT_INITIAL);
        break;
    case PHASE_PULLING:
        components[component].single = true;
        update_become(component, UPDATE_DOWNLOADING, RESULT_INITIAL);
        pull_resume(component);
        break;
    default: /* the result that was kept stands */
        break;
    }
}

/* For a planted defect only; the bit is that of enum port_reset_cause. */
enum { BY_WATCHDOG = 1 << 1 };

static void undo_updates(void) {
    for (unsigned i = 0; i < COMPONENTS; i++)
        trailer_set_pending(i, false);
    platform_restart();
}

void after_boot(bool healthy) {
    bool concluded = false;
    if (DEFECT(crash_undoes_update, platform_reset_cause() & BY_WATCHDOG, 0))
        undo_updates();
    complete_request();
    if (!healthy)
        refuse_image();
    const bool confirms = healthy && behaviour_confirms();
    const bool good = healthy && (!confirms || after_boot_confirm_all());
    for (unsigned i = 0; i < DEFECT(first_component_settled_only, 1, COMPONENTS); i++) {
        const uint8_t phase = components[i].phase;
        settle(i, good, confirms || components[i].permanent);
        concluded |= components[i].phase != phase;
    }
    if (DEFECT(record_at_each_start, true, concluded))
        update_store();
}

bool after_boot_confirm(unsigned component) {
    if (!trailer_confirm(component))
        return false;
    if (components[component].state != UPDATE_UPDATING || !installed(component))
        return true;
    conclude(component, RESULT_SUCCESS);
    return update_store();
}
