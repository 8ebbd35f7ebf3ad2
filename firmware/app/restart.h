/* Resets that wait until what led to them has been answered. */
#ifndef RESTART_H
#define RESTART_H

#include <stdint.h>

/* Restart RESTART_DELAY_MS from now. */
void restart_soon(void);

void restart_poll(uint32_t now);

#endif
