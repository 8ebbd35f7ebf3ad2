/* The platform on top of a SoC's port. */
#include "platform.h"

#include "config.h"
#include "port.h"

static uint32_t reset_cause;

/* Not cleared at the start: what a previous run or the power-up left there is the only entropy at hand. */
__attribute__((section(".noinit"))) static volatile uint32_t leftover;

void platform_start(void) {
    port_init(true);
    port_watchdog_start(WATCHDOG_MS);
    port_watchdog_feed();
    reset_cause = port_reset_cause();
    leftover = leftover * 1664525u + 1013904223u;
}

uint32_t platform_milliseconds(void) { return port_milliseconds(); }

uint32_t platform_reset_cause(void) { return reset_cause; }

void platform_device_id(uint8_t id[8]) { port_device_id(id); }

uint32_t platform_seed(void) { return leftover; }

void platform_alive(void) { port_watchdog_feed(); }

void platform_idle(void) { port_sleep(); }

void platform_restart(void) { port_reset(); }

bool platform_ask_recovery(void) {
#if BOOT_SERIAL_RECOVERY
    return port_ask_recovery();
#else
    return false;
#endif
}

const uint8_t *flash_at(uint32_t address) { return (const uint8_t *)(uintptr_t)address; }

bool flash_write(uint32_t address, const void *data, uint32_t size) {
    port_watchdog_feed();
    return port_flash_write(address, data, size);
}

bool flash_erase_sector(uint32_t address) { return port_flash_erase(address, FLASH_SECTOR_SIZE); }
