/* Packages that the device fetches itself, block by block (RFC 7959 section 2.4), one after the other. */
#ifndef PULL_H
#define PULL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whether a URI's scheme is one that this device can fetch from. */
bool pull_scheme_known(const char *uri, size_t size);

/* Whether a pull runs or waits for any component. */
bool pull_pending(void);

void pull_abort(unsigned component);

/* After a reboot: go on with the pull that the record tells of, once the server is there. */
void pull_resume(unsigned component);

/* Start the next pull, and ask for the next block. */
void pull_poll(uint32_t now);

#endif
