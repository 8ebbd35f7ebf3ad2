/* The self test, and what the device has to say about its state. */
#ifndef HEALTH_H
#define HEALTH_H

#include <stdbool.h>
#include <stdint.h>

#include "image.h"

/* Check running image and data images, once after the start. */
bool health_check(void);

/* What health_check() found; true before it ran. */
bool health_good(void);

/* Error codes of resource 3/0/11, one after the other; false behind the last one. `number` 0 is always there. */
bool health_error(unsigned number, int32_t *code);
void health_clear_errors(void);

/* Version of the image in use, false if there is none. */
bool health_version(unsigned component, struct version *version);

#endif
