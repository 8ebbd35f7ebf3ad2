#include "restart.h"

#include <stdbool.h>

#include "config.h"
#include "platform.h"

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
