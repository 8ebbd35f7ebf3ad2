#include "recovery.h"

#include "console.h"
#include "defects.h"
#include "port.h"
#include "smp.h"
#include "smp_frame.h"

static bool restart_wanted;

static void write(const uint8_t *data, size_t size) {
    port_watchdog_feed();
    port_write(data, size);
}

void smp_send(const uint8_t *message, size_t size) { smp_frame_send(message, size, write); }

unsigned smp_restart(bool into_recovery) {
    if (into_recovery && !port_ask_recovery())
        return SMP_NOT_SUPPORTED;
    restart_wanted = true;
    return SMP_OK;
}

bool recovery_asked(void) {
    const bool asked = port_recovery_asked();
    if (asked && DEFECT(recovery_mark_kept, true, false))
        port_ask_recovery();
    return asked;
}

static void receive(uint8_t byte) {
    static struct smp_frames frames;
    if (smp_frame_receive(&frames, byte) == SMP_FRAME_MESSAGE)
        smp_receive(frames.message, frames.message_size);
}

/* The answer to the request for a reset has been sent when its turn comes. */
void recovery_run(const char *why) {
    port_init(true);
    say("serial recovery: %s", why);
    while (!restart_wanted) {
        const int byte = port_read();
        port_watchdog_feed();
        if (byte >= 0)
            receive((uint8_t)byte);
        else
            port_sleep();
    }
    port_reset();
}
