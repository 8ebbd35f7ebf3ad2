/* Start: say who we are, find out what to boot, hand over to it with the watchdog running. */
#include "board_config.h"
#include "console.h"
#include "counter.h"
#include "port.h"
#include "recovery.h"
#include "swap.h"

#define BOOTLOADER_VERSION "1.0"

int main(void) {
    port_init(false);
    say("reference bootloader " BOOTLOADER_VERSION ", %s, %u image%s", mode_name, BOOT_IMAGES,
        BOOT_IMAGES > 1 ? "s" : "");
    if (HARDWARE_ROLLBACK)
        counter_check_room();
    if (SERIAL_RECOVERY && recovery_asked())
        recovery_run("asked for");
    const uint32_t vector_table = boot();
    if (SERIAL_RECOVERY && !vector_table)
        recovery_run("no bootable image");
    if (!vector_table)
        stop("no bootable image");
    say("image 0 starts at 0x%x", vector_table);
    port_watchdog_start(WATCHDOG_MS);
    port_watchdog_feed();
    port_start_image(vector_table);
}
