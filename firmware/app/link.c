#include "link.h"

#include "behaviour.h"
#include "coap.h"
#include "console.h"
#include "platform.h"
#include "port.h"
#include "smp.h"

static struct slipmux line;
static struct smp_frames smp_lines;
static uint32_t sent;

static void write(const uint8_t *data, size_t size) {
    platform_alive();
    port_write(data, size);
}

void link_send(const uint8_t *message, size_t size) {
    if (!behaviour_has_link())
        return;
    sent++;
    slipmux_send_message(message, size, write);
}

void smp_send(const uint8_t *message, size_t size) {
    if (behaviour_has_link())
        smp_frame_send(message, size, write);
}

void link_print(const char *text, size_t size) { slipmux_send_text(text, size, write); }

/* True if a message was taken. */
static bool receive_text(uint8_t byte) {
    switch (smp_frame_receive(&smp_lines, byte)) {
    case SMP_FRAME_BROKEN:
        console_receive(SMP_FRAME_MARK);
        console_receive(byte);
        break;
    case SMP_FRAME_OTHER:
        console_receive(byte);
        break;
    case SMP_FRAME_MESSAGE:
        smp_receive(smp_lines.message, smp_lines.message_size);
        return true;
    case SMP_FRAME_TAKEN:
        break;
    }
    return false;
}

bool link_poll(void) {
    for (int byte; (byte = port_read()) >= 0;) {
        switch (slipmux_receive(&line, (uint8_t)byte)) {
        case SLIPMUX_MESSAGE:
            coap_receive(line.message, line.message_size);
            return true; /* timers have a look before the next one */
        case SLIPMUX_TEXT:
            if (receive_text((uint8_t)line.frame[0]))
                return true;
            break;
        case SLIPMUX_TEXT_END:
            smp_frame_forget(&smp_lines);
            console_end_line();
            break;
        case SLIPMUX_TEXT_START:
        case SLIPMUX_TEXT_LOST:
            smp_frame_forget(&smp_lines);
            console_forget_line();
            break;
        case SLIPMUX_NOTHING:
            break;
        }
    }
    return false;
}

const struct smp_frames *link_smp_state(void) { return &smp_lines; }

const struct slipmux *link_state(void) { return &line; }

uint32_t link_sent(void) { return sent; }

uint32_t link_overruns(void) { return port_receive_overruns(); }
