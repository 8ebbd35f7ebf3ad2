/* Lines of text for people on the console UART. Nothing but people reads them. */
#ifndef CONSOLE_H
#define CONSOLE_H

#include "image.h"

/*
 * Write a line, which "boot: " is put before and a newline behind. %u is an unsigned number, %x the same
 * in hexadecimal, %s a text, %v a struct version *.
 */
void say(const char *format, ...);

/* The same, and then nothing more: for what the bootloader cannot go on from. */
__attribute__((noreturn)) void stop(const char *format, ...);

#endif
