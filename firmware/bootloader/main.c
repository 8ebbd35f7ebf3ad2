/* Start: say who we are, find out what to boot, hand over to it with the watchdog running. */
#include "board_config.h"
#include "console.h"
#include "counter.h"
#include "port.h"
#include "swap.h"

#define BOOTLOADER_VERSION "1.0"

int main(void) {
    port_init(false);
    say("reference bootloader " BOOTLOADER_VERSION ", %s, %u image%s", mode_name, BOOT_IMAGES,
        BOOT_IMAGES > 1 ? "s" : "");
    if (HARDWARE_ROLLBACK)
        counter_check_room();
    const uint32_t vector_table = boot();
    if (!vector_table)
        stop("no bootable image");
    say("image 0 starts at 0x%x", vector_table);
    port_watchdog_start(WATCHDOG_MS);
    port_watchdog_feed();
    port_start_image(vector_table);
}
