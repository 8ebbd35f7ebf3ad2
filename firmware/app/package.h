/* A package on its way into the slot for updates: a signed MCUboot image, as imgtool makes it without padding. */
#ifndef PACKAGE_H
#define PACKAGE_H

#include "update.h"

/* Make room for a package. Returns RESULT_INITIAL, or why it cannot be. */
enum update_result package_begin(unsigned component);

/*
 * Go on with a package that a reset interrupted. `offset` gets how much of it is there: whole
 * sectors only, for what follows them may be torn. False if there is nothing to go on with.
 */
bool package_resume(unsigned component, uint32_t *offset);

/* Add bytes; returns RESULT_INITIAL, or why the package can no longer become good. */
enum update_result package_write(const uint8_t *data, size_t size);

/* All is there: check it. Returns RESULT_INITIAL and the image, or what is wrong. */
enum update_result package_finish(struct image *image);

/* Erase all of the slot for updates; false if the flash does not take it. */
bool package_erase(unsigned component);

/* Whether the slot for updates of a component holds an image that package_finish() would accept. */
bool package_valid(unsigned component, struct image *image);

#endif
