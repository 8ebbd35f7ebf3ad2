#include "restart.h"

#include <stdbool.h>

#include "config.h"
#include "platform.h"
#include "smp.h"

static bool wanted;
static uint32_t at;

void restart_soon(void) {
    wanted = true;
    at = platform_milliseconds() + RESTART_DELAY_MS;
}

void restart_poll(uint32_t now) {
    if (wanted && (int32_t)(now - at) >= 0)
        platform_restart();
}

unsigned smp_restart(bool into_recovery) {
    if (into_recovery && !platform_ask_recovery())
        return SMP_NOT_SUPPORTED;
    restart_soon();
    return SMP_OK;
}
