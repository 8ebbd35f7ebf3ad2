#include "link.h"

#include "behaviour.h"
#include "coap.h"
#include "console.h"
#include "platform.h"
#include "port.h"

static struct slipmux line;
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

void link_print(const char *text, size_t size) { slipmux_send_text(text, size, write); }

bool link_poll(void) {
    for (int byte; (byte = port_read()) >= 0;) {
        switch (slipmux_receive(&line, (uint8_t)byte)) {
        case SLIPMUX_MESSAGE:
            coap_receive(line.message, line.message_size);
            return true; /* timers have a look before the next one */
        case SLIPMUX_TEXT:
            console_receive((uint8_t)line.frame[0]);
            break;
        case SLIPMUX_TEXT_END:
            console_end_line();
            break;
        case SLIPMUX_TEXT_START:
        case SLIPMUX_TEXT_LOST:
            console_forget_line();
            break;
        case SLIPMUX_NOTHING:
            break;
        }
    }
    return false;
}

const struct slipmux *link_state(void) { return &line; }

uint32_t link_sent(void) { return sent; }

uint32_t link_overruns(void) { return port_receive_overruns(); }
