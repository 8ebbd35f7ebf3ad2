/* Registration with the LwM2M server (OMA-TS-LightweightM2M_Core-V1_1 section 6.2). */
#ifndef REGISTRATION_H
#define REGISTRATION_H

#include <stdbool.h>
#include <stdint.h>

void registration_start(void);
void registration_poll(uint32_t now);

bool registration_done(void);

/* Resource 1/0/1; a change is told to the server. */
uint32_t registration_lifetime(void);
void registration_set_lifetime(uint32_t seconds);

/* Execute of 1/0/8: update the registration now. */
void registration_trigger(void);

/* "<board>-<device id>" and the id alone, zero terminated. */
const char *registration_endpoint(void);
const char *registration_serial_number(void);

#endif
