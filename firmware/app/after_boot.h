/* What became of an update: compared with the images that are there, and confirmed if it is good. */
#ifndef AFTER_BOOT_H
#define AFTER_BOOT_H

#include <stdbool.h>

/* Settle the states of all components once after the start. May not return: some cases need another reset. */
void after_boot(bool healthy);

/* Confirm the images in use; false if the flash does not take it. */
bool after_boot_confirm_all(void);

/* Somebody confirms a component: if its update waited for that, it has succeeded. False if the flash does not take it. */
bool after_boot_confirm(unsigned component);

#endif
