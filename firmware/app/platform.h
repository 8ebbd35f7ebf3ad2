/*
 * What the protocol and update code needs of the world. platform.c answers for a SoC's port; a
 * build for a host puts its own file there (a clock, a file for the flash, a socket for the link).
 */
#ifndef PLATFORM_H
#define PLATFORM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void platform_start(void);

/* Milliseconds since the start; wraps around after 49 days, so only differences mean something. */
uint32_t platform_milliseconds(void);

/* Bits of enum port_reset_cause, read from the chip once at the start. */
uint32_t platform_reset_cause(void);

void platform_device_id(uint8_t id[8]);

/* A number that differs from start to start where the chip makes that possible. */
uint32_t platform_seed(void);

/* Must be called at least every WATCHDOG_MS milliseconds. */
void platform_alive(void);

/* Sleep until something may have happened. */
void platform_idle(void);

__attribute__((noreturn)) void platform_restart(void);

/* The next restart ends in the boot loader's serial recovery; false if it has none. */
bool platform_ask_recovery(void);

/* Flash: reading is plain memory, writes have a size and an address in units of FLASH_WRITE_UNIT. */
const uint8_t *flash_at(uint32_t address);
bool flash_write(uint32_t address, const void *data, uint32_t size);
bool flash_erase_sector(uint32_t address);

/* Send one CoAP message to the one peer there is. */
void link_send(const uint8_t *message, size_t size);

#endif
