#include "health.h"

#include "behaviour.h"
#include "defects.h"
#include "model.h"
#include "platform.h"
#include "slots.h"

/* Codes of 3/0/11: 0 no error, 8 peripheral malfunction; from 16 on they are ours: 16 + bit of enum port_reset_cause. */
enum { NO_ERROR = 0, MALFUNCTION = 8, FIRST_RESET_CAUSE = 16, RESET_CAUSES = 5 };

static bool failed, cleared;

/*
 * The application itself is not hashed: code that runs says nothing new by vouching for itself.
 * An image that was flashed bare, without MCUboot's header, has nothing to compare with. A data
 * image that is not there is no fault either: whether it must be is the boot loader's decision.
 */
static bool component_good(unsigned component) {
    struct image image;
    struct model model;
    const uint32_t address = image_in_use(component), limit = slot_in_use(component).size;
    if (component == 0 || !image_header(&image, flash_at(address), limit))
        return true;
    if (!image_open(&image, address, limit) || !image_intact(&image))
        return false;
    return DEFECT(data_not_tested, true, model_open(&model, &image));
}

bool health_check(void) {
    bool good = behaviour_self_test();
    for (unsigned component = 0; component < COMPONENTS; component++)
        good = component_good(component) && good;
    failed = !good;
    return good;
}

bool health_good(void) { return !failed; }

bool health_error(unsigned number, int32_t *code) {
    unsigned found = 0;
    const uint32_t causes = cleared ? 0 : platform_reset_cause();
    if (failed && !cleared && found++ == number) {
        *code = MALFUNCTION;
        return true;
    }
    for (unsigned bit = 0; bit < RESET_CAUSES; bit++) {
        if (causes >> bit & 1 && found++ == number) {
            *code = (int32_t)(FIRST_RESET_CAUSE + bit);
            return true;
        }
    }
    *code = NO_ERROR;
    return found == 0 && number == 0;
}

void health_clear_errors(void) { cleared = true; }

bool health_version(unsigned component, struct version *version) {
    struct image image;
    const uint32_t address = DEFECT(version_of_other_slot, image_for_update(component), image_in_use(component));
    if (!image_header(&image, flash_at(address), slot_in_use(component).size))
        return false;
    *version = image.version;
    return true;
}
