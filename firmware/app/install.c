#include "install.h"

#include "coap_message.h"
#include "defects.h"
#include "health.h"
#include "objects.h"
#include "restart.h"
#include "slots.h"
#include "trailer.h"

static uint32_t bit(unsigned component) { return 1u << component; }

static uint32_t downloaded(void) {
    uint32_t set = 0;
    for (unsigned i = 0; i < COMPONENTS; i++)
        if (components[i].state == UPDATE_DOWNLOADED)
            set |= bit(i);
    return set;
}

uint32_t install_linked(unsigned component) {
    return components[component].state == UPDATE_DOWNLOADED ? downloaded() & ~bit(component) : 0;
}

/* --- dependencies --- */

/* The version that a component will have once `set` is installed; false if it will have none. */
static bool future_version(unsigned component, uint32_t set, struct version *version) {
    if (!(set & bit(component)))
        return health_version(component, version);
    *version = components[component].version;
    return true;
}

/*
 * Which components are too old for this one once `set` is installed. As the boot loader does, an
 * image that stays is asked as well. A dependency on a component that does not exist can never be
 * met; it is held against the image that has it.
 */
static uint32_t too_old_for(unsigned component, uint32_t set) {
    struct image image;
    struct dependency needs;
    uint32_t found = 0;
    const uint32_t address = set & bit(component) ? image_for_update(component) : image_in_use(component);
    if (!image_open(&image, address, slot_in_use(component).size))
        return 0;
    for (unsigned n = 0; image_dependency(&image, n, &needs); n++) {
        struct version there;
        if (needs.component >= COMPONENTS)
            found |= bit(component);
        else if (!future_version(needs.component, set, &there) || version_compare(there, needs.least) < 0)
            found |= bit(needs.component);
    }
    return found;
}

uint32_t install_conflicting(unsigned component) {
    if (components[component].state != UPDATE_DOWNLOADED)
        return components[component].conflicts;
    return components[component].conflicts | too_old_for(component, downloaded());
}

/* Check a set before it is installed. The components that cannot be get result 13, and so does the one that was asked. */
static bool dependencies_met(unsigned asked, uint32_t set) {
    bool met = true;
    for (unsigned i = 0; i < COMPONENTS; i++)
        components[i].conflicts = 0;
    for (unsigned i = 0; i < COMPONENTS; i++) {
        const uint32_t old = too_old_for(i, set);
        if (!old)
            continue;
        met = false;
        if (set & bit(i))
            components[i].conflicts |= old;
        if (i != asked)
            components[asked].conflicts |= bit(i);
    }
    for (unsigned i = 0; i < COMPONENTS; i++)
        if (components[i].conflicts)
            update_become(i, UPDATE_DOWNLOADED, RESULT_DEPENDENCY_ERROR);
    return met;
}

/* --- arguments --- */

static bool skip(const char **at, const char *end, const char *wanted) {
    const size_t size = text_length(wanted);
    if ((size_t)(end - *at) < size || !equal(*at, wanted, size))
        return false;
    *at += size;
    return true;
}

static bool read_instance(const char **at, const char *end, unsigned *component) {
    uint32_t id;
    const char *digits = *at;
    while (*at < end && **at >= '0' && **at <= '9')
        ++*at;
    if (!number_from_text(digits, (size_t)(*at - digits), UINT16_MAX, &id))
        return false;
    for (*component = 0; *component < COMPONENTS; ++*component)
        if (component_instance(*component) == id)
            return true;
    return false;
}

/* The components that a list names beside the one it is for; false if it is malformed. */
static bool read_list(const char *at, const char *end, unsigned asked, uint32_t *others) {
    *others = 0;
    if (at == end)
        return true;
    do {
        unsigned component;
        if (!skip(&at, end, "</33629/") || !read_instance(&at, end, &component) || !skip(&at, end, ">"))
            return false;
        if (component == asked || *others & bit(component))
            return false;
        *others |= bit(component);
    } while (skip(&at, end, ","));
    return at == end;
}

static uint8_t read_arguments(const char *arguments, size_t size, unsigned asked, uint32_t *others) {
    const char *at = arguments, *end = arguments + size;
    *others = 0;
    if (size == 0) {
        *others = install_linked(asked);
        return 0;
    }
    if (!skip(&at, end, "0"))
        return COAP_BAD_REQUEST;
    if (at == end)
        return 0;
    if (!skip(&at, end, "='") || at == end || end[-1] != '\'' || !read_list(at, end - 1, asked, others))
        return COAP_BAD_REQUEST;
    return *others & ~downloaded() ? COAP_NOT_ALLOWED : 0;
}

/* --- the update --- */

/*
 * The record goes first. If power fails between the marks, the next start finds the phase
 * UPDATING and completes them; from HANDED_OVER on the boot loader's decision counts.
 */
static bool hand_over(uint32_t set, bool permanent) {
    for (unsigned i = 0; i < COMPONENTS; i++) {
        if (!(set & bit(i)))
            continue;
        components[i].phase = PHASE_UPDATING;
        components[i].permanent = permanent;
        update_become(i, UPDATE_UPDATING, RESULT_INITIAL);
    }
    bool good = update_store();
    for (unsigned i = 0; i < COMPONENTS && good; i++)
        if (set & bit(i))
            good = trailer_set_pending(i, DEFECT(asks_for_good, true, permanent));
    for (unsigned i = 0; i < COMPONENTS; i++)
        if (set & bit(i))
            components[i].phase = PHASE_HANDED_OVER;
    return update_store() && good;
}

static void give_up(uint32_t set) {
    for (unsigned i = 0; i < COMPONENTS; i++) {
        if (!(set & bit(i)))
            continue;
        trailer_withdraw(i);
        components[i].phase = PHASE_IDLE;
        update_become(i, UPDATE_IDLE, RESULT_UPDATE_FAILED);
    }
    update_store();
}

uint8_t install_execute(unsigned component, const char *arguments, size_t size, bool single) {
    const uint8_t state = components[component].state;
    if (state != UPDATE_DOWNLOADED && !DEFECT(update_in_idle, state == UPDATE_IDLE, false))
        return COAP_NOT_ALLOWED;
    if (single && size)
        return COAP_BAD_REQUEST;
    uint32_t set = 0;
    const uint8_t refusal = single ? 0 : read_arguments(arguments, size, component, &set);
    if (refusal)
        return refusal;
    set = bit(component) | DEFECT(ignores_instances, install_linked(component), set);
    if (!dependencies_met(component, set))
        return COAP_CHANGED; /* the request was legal; state and result tell the rest */
    if (hand_over(set, false))
        restart_soon();
    else
        give_up(set);
    return COAP_CHANGED;
}

bool install_request(unsigned component, bool permanent) {
    const bool good = hand_over(bit(component), permanent);
    if (!good)
        give_up(bit(component));
    return good;
}
