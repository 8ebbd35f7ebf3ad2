/* Time, identity and restarts of a build for a host. */
#include "platform.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "fault.h"
#include "native.h"
#include "port.h"

enum { LONGEST_WAIT_MS = 50, ARGUMENTS_MAX = 32 };

static uint64_t started;
static int wait_ms = 1;

static uint64_t clock_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void platform_start(void) { started = clock_ms(); }

uint32_t platform_milliseconds(void) { return (uint32_t)((clock_ms() - started) * native.speed); }

uint32_t platform_reset_cause(void) { return native.cause; }

void platform_device_id(uint8_t id[8]) { memcpy(id, native.id, sizeof native.id); }

uint32_t platform_seed(void) { return (uint32_t)getpid() * 2654435761u ^ (uint32_t)clock_ms(); }

void platform_alive(void) {}

/* Rare looks at the timers while nothing happens: there may be hundreds of these programs. */
void platform_idle(void) {
    const int longest = LONGEST_WAIT_MS / (int)native.speed;
    if (native_wait(wait_ms))
        wait_ms = 1;
    else if (2 * wait_ms <= longest)
        wait_ms *= 2;
}

void platform_restart(void) {
    char cause[8];
    char *arguments[ARGUMENTS_MAX];
    unsigned count = 0;
    for (char **from = native.arguments; *from && count < ARGUMENTS_MAX - 3; from++) {
        if (!strcmp(*from, "--cause") && from[1])
            from++;
        else
            arguments[count++] = *from;
    }
    snprintf(cause, sizeof cause, "%u", PORT_RESET_SOFTWARE);
    arguments[count++] = (char *)"--cause";
    arguments[count++] = cause;
    arguments[count] = NULL;
    execv(arguments[0], arguments);
    native_fail("cannot start %s again", arguments[0]);
}

bool platform_ask_recovery(void) { return false; }

/* There is no core whose faults could be seen, and no watchdog. */
void fault_hang(void) { native_fail("the application hangs"); }

void fault_hard(void) { native_fail("the application crashes"); }

fault_action *fault_by_name(const char *name) {
    (void)name;
    return NULL;
}
