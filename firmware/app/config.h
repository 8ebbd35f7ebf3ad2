/* What can be set when the application is built. Tests of waiting use shorter times. */
#ifndef CONFIG_H
#define CONFIG_H

#include "board_config.h"

/* RFC 7252 section 4.8: first repetition of a confirmable message, and how many there are. */
#ifndef ACK_TIMEOUT_MS
#define ACK_TIMEOUT_MS 2000
#endif
#ifndef MAX_RETRANSMIT
#define MAX_RETRANSMIT 4
#endif

/* How long an acknowledged request may go without its answer. */
#ifndef ANSWER_TIMEOUT_MS
#define ANSWER_TIMEOUT_MS 30000
#endif

/* A push of which no block came for so long is given up. */
#ifndef PUSH_TIMEOUT_MS
#define PUSH_TIMEOUT_MS 300000
#endif

/* A pull of which no block came for so long is given up; until then it is asked for again and again. */
#ifndef PULL_TIMEOUT_MS
#define PULL_TIMEOUT_MS 300000
#endif

/* From the answer to a request that ends in a reset to the reset: the host gets to see the state "Updating". */
#ifndef RESTART_DELAY_MS
#define RESTART_DELAY_MS 100
#endif

/* Registration: lifetime at start, and the pause after a refusal or a silence (doubled up to 32 times). */
#ifndef LIFETIME_S
#define LIFETIME_S 300
#endif
#ifndef REGISTRATION_PAUSE_MS
#define REGISTRATION_PAUSE_MS 1000
#endif

enum {
    COMPONENTS = BOOT_IMAGES,
    BLOCK_MAX = 1024,              /* largest block of RFC 7959 */
    MESSAGE_MAX = BLOCK_MAX + 256, /* and room for header and options */
};

#endif
