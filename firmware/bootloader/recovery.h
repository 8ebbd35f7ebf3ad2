/*
 * Serial recovery (option BOOT_SERIAL_RECOVERY): SMP on the console UART, as MCUboot offers it. Images go into
 * primary slots; whether one is good the next boot finds out, as ever.
 */
#ifndef RECOVERY_H
#define RECOVERY_H

#include <stdbool.h>

#if BOOT_SERIAL_RECOVERY
enum { SERIAL_RECOVERY = 1 };
#else
enum { SERIAL_RECOVERY = 0 };
#endif

/* Whether whoever ran before the reset has asked for it. It counts once. */
bool recovery_asked(void);

/* Answer requests until one asks for a reset. */
__attribute__((noreturn)) void recovery_run(const char *why);

#endif
