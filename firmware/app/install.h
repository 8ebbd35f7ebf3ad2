/* Resource 2, Update: which components are installed together, and handing them to the boot loader. */
#ifndef INSTALL_H
#define INSTALL_H

#include "update.h"

/* Other components that a plain Update of this one installs as well, as bits: all that are downloaded. */
uint32_t install_linked(unsigned component);

/* Components that stand in the way: without a new version of them the boot loader would refuse. */
uint32_t install_conflicting(unsigned component);

/*
 * Execute. `arguments` are those of object 33629: none, "0", or "0='</33629/1>,</33629/2>'". With
 * `single` the request came through object 5, which has no arguments and no links.
 */
uint8_t install_execute(unsigned component, const char *arguments, size_t size, bool single);

/*
 * Ask the boot loader for one component that is downloaded, on trial or for good, and leave the reset to
 * whoever asked: dependencies may still come. False if the flash does not take it.
 */
bool install_request(unsigned component, bool permanent);

#endif
