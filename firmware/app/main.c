/* The reference application: updates itself and its data images over LwM2M or SMP on one serial line. */
#include "after_boot.h"
#include "behaviour.h"
#include "coap.h"
#include "console.h"
#include "defects.h"
#include "health.h"
#include "link.h"
#include "observe.h"
#include "platform.h"
#include "record.h"
#include "registration.h"
#include "restart.h"
#include "slots.h"
#include "update.h"

/* Different for each device, and for each state of its flash, even on a chip that starts the same way every time. */
static uint32_t seed(void) {
    uint8_t id[8];
    platform_device_id(id);
    const uint32_t moment[] = {platform_seed(), record_sequence(), platform_reset_cause()};
    return crc32(crc32(0, id, sizeof id), moment, sizeof moment);
}

static void greet(void) {
    char line[sizeof BOARD_NAME + 80];
    struct text text = {.data = line, .capacity = sizeof line};
    struct version version = {0};
    (void)health_version(0, &version);
    text_add(&text, "\napplication ");
    text_add_version(&text, version);
    text_add(&text, " (");
    text_add(&text, behaviour_name());
    text_add(&text, ") on " BOARD_NAME "\n");
    link_print(line, text.size);
}

int main(void) {
    platform_start();
    behaviour_start();
    slots_start();
    update_load();
    greet();
    if (DEFECT(confirms_before_self_test, true, false))
        after_boot_confirm_all();
    after_boot(health_check());
    coap_start(seed());
    registration_start();
    for (;;) {
        platform_alive();
        const bool more = link_poll();
        const uint32_t now = platform_milliseconds();
        update_poll(now);
        observe_poll();
        registration_poll(now);
        coap_poll(now);
        restart_poll(now);
        if (!more)
            platform_idle();
    }
}
