/*
 * What bootloader and application need of a SoC. Each SoC has a folder beside this file with
 * port.c and soc.h, and nothing else knows of it.
 */
#ifndef PORT_H
#define PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Why the chip started; several may be set, none after power-on. */
enum port_reset_cause {
    PORT_RESET_PIN = 1 << 0,
    PORT_RESET_WATCHDOG = 1 << 1,
    PORT_RESET_SOFTWARE = 1 << 2,
    PORT_RESET_LOCKUP = 1 << 3,
    PORT_RESET_OTHER = 1 << 4,
};

/*
 * Clocks and the console UART (CONSOLE_BAUD). With `receive`, bytes are collected by interrupt; a boot
 * loader with serial recovery asks for that in a second call.
 */
void port_init(bool receive);

/* Send bytes on the console UART; returns when the UART has taken all of them. */
void port_write(const uint8_t *data, size_t size);

/* Next byte that the console UART received, or -1. */
int port_read(void);

/* Bytes that arrived while the receive buffer was full, since the start. */
uint32_t port_receive_overruns(void);

/* Program `size` bytes (a multiple of 4) at a multiple of 4; false if the flash does not hold them afterwards. */
bool port_flash_write(uint32_t address, const void *data, uint32_t size);

/* Erase whole sectors; false if the flash is not erased afterwards. */
bool port_flash_erase(uint32_t address, uint32_t size);

/* How often time goes on; anything shorter only costs energy, for bytes and answers wake the core themselves. */
enum { PORT_TICK_MS = 10 };

/* Milliseconds since port_init, in steps of PORT_TICK_MS; needs port_init(true). */
uint32_t port_milliseconds(void);

/* Sleep until the next interrupt (at the latest in PORT_TICK_MS); needs port_init(true). */
void port_sleep(void);

/* Start the watchdog if it does not run; it cannot be stopped and may outlive a reset. */
void port_watchdog_start(uint32_t milliseconds);
void port_watchdog_feed(void);

/* port_reset_cause bits since they were last read; reading clears them in the chip. */
uint32_t port_reset_cause(void);

__attribute__((noreturn)) void port_reset(void);

/* Leave a mark for the boot loader that outlives a reset, but not the power; false if the port has no place for it. */
bool port_ask_recovery(void);

/* Whether it is there; looking removes it. */
bool port_recovery_asked(void);

/* Start the image whose vector table lies at this address; interrupts are off and as after reset. */
__attribute__((noreturn)) void port_start_image(uint32_t vector_table);

/* The chip's own number. */
void port_device_id(uint8_t id[8]);

#endif
