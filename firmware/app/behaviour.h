/* Ways of the application to be good or bad, chosen when it is built: one of BEHAVIOUR_... is defined. */
#ifndef BEHAVIOUR_H
#define BEHAVIOUR_H

#include <stdbool.h>

/* Called as soon as clocks and watchdog run. HANGS and CRASHES do not come back. */
void behaviour_start(void);

/* False in the image whose self test fails. */
bool behaviour_self_test(void);

/* False in images that run well and never confirm themselves: one that has lost its link waits for it. */
bool behaviour_confirms(void);

/* False in the image whose messages never reach the server. Its console works. */
bool behaviour_has_link(void);

/* Name, for people to read. */
const char *behaviour_name(void);

#endif
