/* Where the components live, and how large their images may be. */
#ifndef SLOTS_H
#define SLOTS_H

#include "config.h"

#include <stdbool.h>
#include <stdint.h>

#if defined(BOOT_MODE_DIRECT_XIP) || defined(BOOT_MODE_DIRECT_XIP_REVERT)
#define BOOT_SELECTS 1 /* the bootloader starts an image where it lies */
#else
#define BOOT_SELECTS 0 /* the bootloader brings an image into the primary slot */
#endif

#ifdef BOOT_MODE_OFFSET
#define BOOT_OFFSET 1
#else
#define BOOT_OFFSET 0
#endif

/* port_flash_write takes words; the boot loader's unit may be larger. */
enum { FLASH_WRITE_UNIT = FLASH_WRITE_ALIGNMENT < 4 ? 4 : FLASH_WRITE_ALIGNMENT };

struct area {
    uint32_t address, size;
};

/* Find out which slots are in use; before anything else is asked. */
void slots_start(void);

const char *component_name(unsigned component);
uint16_t component_instance(unsigned component);

/* The slot that is in use, and the one that takes an update. */
struct area slot_in_use(unsigned component);
struct area slot_for_update(unsigned component);

/* The slots as the board names them. */
struct area slot_primary(unsigned component);
struct area slot_secondary(unsigned component);

/* Address of the image in the slot in use, and where in the other slot an update starts. */
uint32_t image_in_use(unsigned component);
uint32_t image_for_update(unsigned component);

/* Read the image in one of a component's slots; false if there is none. */
struct image;
bool slot_open(unsigned component, struct area slot, struct image *image);

/* Most bytes of an image, header to end of TLVs, that the boot loader will take. */
uint32_t slot_image_limit(unsigned component);

/* First address of a slot's trailer, down to the last status entry. */
uint32_t slot_trailer_start(struct area slot);

/* Whether the boot loader will go back to the previous image by itself: there is one, and the new one is on trial. */
bool slot_reverts(unsigned component);

#endif
