/* What the parts of a build for a host share. */
#ifndef NATIVE_H
#define NATIVE_H

#include <stdbool.h>
#include <stdint.h>

struct options {
    const char *server; /* coap://ADDRESS:PORT, numeric */
    const char *flash;  /* file that holds the flash; made if it is not there */
    uint8_t id[8];
    uint32_t speed; /* how much faster than the clock time passes */
    uint16_t port;  /* local UDP port, 0 for any */
    uint16_t smp_port; /* UDP port of 127.0.0.1 for SMP, 0 for none */
    uint32_t cause; /* why it starts: enum port_reset_cause */
    char **arguments;
};

extern struct options native;

/* Say what is wrong, and end. */
__attribute__((noreturn, format(printf, 1, 2))) void native_fail(const char *format, ...);

/* Map the flash file. */
void native_open_flash(void);

/* Flash as plain memory, for what stands in for a boot loader. */
uint8_t *native_flash(uint32_t address);

/* Do what a boot loader does before it starts the application. */
void native_boot(void);

/* Open the socket. */
void native_open_link(void);

/* Wait until something arrives, or for so long; true if something did. */
bool native_wait(int milliseconds);

#endif
