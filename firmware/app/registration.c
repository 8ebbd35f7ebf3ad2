#include "registration.h"

#include "bytes.h"
#include "coap.h"
#include "observe.h"
#include "platform.h"
#include "represent.h"

enum { LOCATION_MAX = 64, SEGMENTS_MAX = 4, SECOND_MS = 1000, LONGEST_PAUSE = 5, SERIAL_SIZE = 16 };

/* A renewal has to reach the server while the old registration lasts, even if it is repeated to the end. */
enum { RENEWAL_MARGIN_S = 93 };

static enum { UNREGISTERED, REGISTERING, REGISTERED, RENEWING } state;
static uint32_t next_at; /* next registration or renewal */
static uint32_t lifetime = LIFETIME_S;
static bool lifetime_changed;
static unsigned failures;
static char location[LOCATION_MAX]; /* path segments, each behind its length */
static size_t location_size;
static char endpoint[sizeof BOARD_NAME + 1 + SERIAL_SIZE];

bool registration_done(void) { return state == REGISTERED || state == RENEWING; }

uint32_t registration_lifetime(void) { return lifetime; }

const char *registration_endpoint(void) { return endpoint; }

const char *registration_serial_number(void) { return endpoint + sizeof BOARD_NAME; }

void registration_start(void) {
    uint8_t id[SERIAL_SIZE / 2];
    struct text text = {.data = endpoint, .capacity = sizeof endpoint - 1};
    platform_device_id(id);
    text_add(&text, BOARD_NAME "-");
    for (unsigned i = sizeof id; i--;)
        text_add_hex(&text, id[i], 2);
    next_at = platform_milliseconds();
}

void registration_set_lifetime(uint32_t seconds) {
    lifetime = seconds;
    lifetime_changed = true;
    registration_trigger();
}

void registration_trigger(void) {
    if (state == REGISTERED)
        next_at = platform_milliseconds();
}

static void try_again_later(void) {
    const uint32_t pause = (uint32_t)REGISTRATION_PAUSE_MS << (failures < LONGEST_PAUSE ? failures : LONGEST_PAUSE);
    failures++;
    state = UNREGISTERED;
    next_at = platform_milliseconds() + pause;
}

static void succeeded(void) {
    const uint32_t renew_after = lifetime > 2 * RENEWAL_MARGIN_S ? lifetime - RENEWAL_MARGIN_S : lifetime / 2;
    state = REGISTERED;
    failures = 0;
    /* A week at most: the clock can only tell times that are less than 24 days ahead. */
    next_at = platform_milliseconds() + (renew_after < 604800 ? renew_after : 604800) * SECOND_MS;
    if (lifetime_changed)
        next_at = platform_milliseconds();
}

static bool keep_location(const struct coap_message *answer) {
    location_size = 0;
    for (struct coap_option option = {0}; coap_next_option(answer, &option);) {
        if (option.number != OPTION_LOCATION_PATH)
            continue;
        if (option.size + 1u > sizeof location - location_size || option.size > UINT8_MAX)
            return false;
        location[location_size++] = (char)option.size;
        memcpy(location + location_size, option.value, option.size);
        location_size += option.size;
    }
    return location_size != 0;
}

static void registered(enum coap_outcome outcome, const struct coap_message *answer) {
    if (outcome != COAP_ANSWERED || answer->code != COAP_CREATED || !keep_location(answer)) {
        try_again_later();
        return;
    }
    observe_forget_all(); /* a new registration knows of no observations */
    succeeded();
}

static void renewed(enum coap_outcome outcome, const struct coap_message *answer) {
    if (outcome == COAP_ANSWERED && answer->code == COAP_CHANGED) {
        succeeded();
        return;
    }
    state = UNREGISTERED; /* the server has forgotten us, or is away: register anew */
    next_at = platform_milliseconds();
}

static void add_query(struct coap_writer *writer, const char *name, const char *value, uint32_t number) {
    char query[48 + sizeof endpoint];
    struct text text = {.data = query, .capacity = sizeof query};
    text_add(&text, name);
    if (value)
        text_add(&text, value);
    else
        text_add_number(&text, number);
    coap_add_option(writer, OPTION_URI_QUERY, query, text.size);
}

static void send_registration(void) {
    static struct representation links;
    represent_registration(&links);
    struct coap_writer *writer = coap_request(COAP_REGISTRATION, COAP_POST, NULL);
    coap_add_option(writer, OPTION_URI_PATH, "rd", 2);
    coap_add_uint(writer, OPTION_CONTENT_FORMAT, FORMAT_LINK);
    add_query(writer, "ep=", endpoint, 0);
    add_query(writer, "lt=", NULL, lifetime);
    add_query(writer, "lwm2m=", "1.1", 0);
    add_query(writer, "b=", "U", 0);
    coap_add_payload(writer, links.data, links.size);
    state = REGISTERING;
    lifetime_changed = false;
    coap_send(COAP_REGISTRATION, registered);
}

static void send_renewal(void) {
    struct coap_writer *writer = coap_request(COAP_REGISTRATION, COAP_POST, NULL);
    for (size_t at = 0; at < location_size; at += 1 + (uint8_t)location[at])
        coap_add_option(writer, OPTION_URI_PATH, location + at + 1, (uint8_t)location[at]);
    if (lifetime_changed)
        add_query(writer, "lt=", NULL, lifetime);
    state = RENEWING;
    lifetime_changed = false;
    coap_send(COAP_REGISTRATION, renewed);
}

void registration_poll(uint32_t now) {
    if (coap_busy(COAP_REGISTRATION) || (int32_t)(now - next_at) < 0)
        return;
    if (state == UNREGISTERED)
        send_registration();
    else if (state == REGISTERED)
        send_renewal();
}
